"""The run folder: what a run writes down, and how a trained network is loaded from it."""
