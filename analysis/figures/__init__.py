"""Figures of a study, a file each, in one style."""

import os

backend = os.environ.pop("MPLBACKEND", None)  # a notebook's, which need not be installed here; no backend is used
try:
    import matplotlib  # noqa: F401
finally:
    if backend is not None:
        os.environ["MPLBACKEND"] = backend
