"""Read run folders and say what they show: files in, tables, figures and sentences out.

The functions a notebook needs can be imported from here. Each is loaded on first use, so a table does not wait for
matplotlib and scipy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.claims.compare import compare
    from analysis.figures.gallery import draw, draw_all
    from analysis.frames.configurations import summarize
    from analysis.frames.runs import load_runs
    from analysis.frames.study import load_studies
    from analysis.frames.tables import load_epochs, load_layers

__all__ = ["compare", "draw", "draw_all", "load_epochs", "load_layers", "load_runs", "load_studies", "summarize"]

_PLACES: dict[str, str] = {"compare": "claims.compare", "draw": "figures.gallery", "draw_all": "figures.gallery"}
_PLACES |= {"load_epochs": "frames.tables", "load_layers": "frames.tables", "load_runs": "frames.runs"}
_PLACES |= {"load_studies": "frames.study", "summarize": "frames.configurations"}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'analysis' has no attribute '{name}'")
    return getattr(import_module(f"analysis.{_PLACES[name]}"), name)
