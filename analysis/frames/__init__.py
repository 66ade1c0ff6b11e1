"""Run folders as tidy frames: find, read and average runs, and add published figures."""
