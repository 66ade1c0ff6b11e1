"""Run folders as tidy frames: finding, reading, averaging, and what has been published."""
