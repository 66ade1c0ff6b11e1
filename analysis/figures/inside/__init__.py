"""Figures of what is seen inside networks, before training and after it."""
