"""Figures of a study, a file each, in one style."""

import os
import sys
from contextlib import suppress

# matplotlib ends with an error where MPLBACKEND names a backend that it does not know. No backend is used here, but a
# notebook's is kept for its own figures.
backend = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
try:
    import matplotlib
finally:
    if backend is not None:
        os.environ["MPLBACKEND"] = backend
if backend:
    with suppress(ValueError):
        matplotlib.rcParams["backend"] = backend
