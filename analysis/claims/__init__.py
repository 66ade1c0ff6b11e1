"""Sentences that the numbers support."""
