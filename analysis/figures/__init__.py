"""Figures of a study, a file each, in one style."""

import os
import sys
from contextlib import suppress

# Importing matplotlib fails if MPLBACKEND names a backend that it does not know. No backend is used here, but a
# notebook keeps its own for its figures.
backend = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
try:
    import matplotlib
finally:
    if backend is not None:
        os.environ["MPLBACKEND"] = backend
if backend:
    with suppress(ValueError):
        matplotlib.rcParams["backend"] = backend
