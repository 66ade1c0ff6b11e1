"""A matplotlib figure inside an HTML page: self-contained SVG with a text alternative."""

import io
import re

from markupsafe import Markup, escape
from matplotlib.figure import Figure

from analysis.figures.gallery import save

NOT_NEEDED = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)
REFERENCE = re.compile(r'((?:xlink:)?href="#|url\(#)([^")]+)')
ID = re.compile(r'\s+id="([^"]*)"')


def as_html(figure: Figure, prefix: str, description: str) -> Markup:
    """Return an `svg` element.

    Figures share ids with each other: those that are referenced get `prefix`, the others are dropped.
    """
    buffer = io.StringIO()
    save(figure, buffer, "svg")
    svg = NOT_NEEDED.sub("", buffer.getvalue()).strip()
    used = {found[1] for found in REFERENCE.findall(svg)}
    svg = ID.sub(lambda found: f' id="{prefix}-{found[1]}"' if found[1] in used else "", svg)
    svg = REFERENCE.sub(rf"\g<1>{prefix}-\g<2>", svg)
    style = f"--width: {figure.get_figwidth():g}in"
    return Markup(svg.replace("<svg ", f'<svg role="img" aria-label="{escape(description)}" style="{style}" ', 1))


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
