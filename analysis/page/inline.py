"""A matplotlib figure inside an HTML page: self-contained SVG with a text alternative."""

import io

from markupsafe import escape
from matplotlib.figure import Figure

from analysis.figures.gallery import save
from analysis.page.smaller import smaller


def as_svg(figure: Figure, prefix: str, description: str) -> str:
    """Return an `svg` element whose ids begin with `prefix`, and which is described for those who do not see it."""
    buffer = io.StringIO()
    save(figure, buffer, "svg")
    svg = smaller(buffer.getvalue(), prefix)
    style = f"max-width: {100 * figure.get_figwidth():.0f}px"
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(description)}" style="{style}" ', 1)


def describe(figure: Figure, caption: str) -> str:
    """Return the text alternative: the caption, then the names of panels, axes and legend entries."""
    legends = [text.get_text() for legend in figure.legends for text in legend.texts]
    parts = {
        "Panels": [axis.get_title() for axis in figure.axes],
        "Horizontal": [axis.get_xlabel() for axis in figure.axes],
        "Vertical": [axis.get_ylabel() for axis in figure.axes],
        "Legend": legends,
    }
    said = {name: ", ".join(dict.fromkeys(filter(None, texts))) for name, texts in parts.items()}
    sentences = [f"{name}: {text}." for name, text in said.items() if text]
    return " ".join(" ".join([caption, *sentences]).split())
