"""Figures of what is measured inside networks, before and after training."""
