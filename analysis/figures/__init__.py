"""Figures of a study, a file each, in one style."""
