"""Matplotlib figures inside an HTML page: small, self-contained SVGs with a text alternative.

The figures of a page share their styles as CSS classes, ids are short, and numbers have no needless digits.
"""

import io
import re
from collections.abc import Iterable
from itertools import count

from markupsafe import escape
from matplotlib.figure import Figure

from analysis.figures.gallery import save

DIGITS = 2  # decimals: a screen cannot show a hundredth of a point
NOT_NEEDED = re.compile(r"<!--.*?-->|<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)
REFERENCE = re.compile(r'(?:xlink:)?(href="#|url\(#)([^")]+)')
ID = re.compile(r'\s+id="([^"]*)"')
STYLE = re.compile(r'style="([^"]*)"')
FONTS = re.compile(r'font-family: [^;"]*')
NUMBERS = re.compile(r' (?:d|x|y|width|height|transform|points)="[^"]*"')
NUMBER = re.compile(r"-?\d+\.\d+")
LINES = re.compile(r"[ML] [-\d. ]+(?:L [-\d. ]+)+")  # in which a repeated L can be left out
UNTURNED = re.compile(r' transform="rotate\(-?0 [^"]*"')
GAP = re.compile(r">\s+<")
EMPTY = re.compile(r"<(g|defs)></\1>")
BARE_GROUP = re.compile(r"<g>((?:(?!</?g\b).)*)</g>", re.DOTALL)


def as_svg(figure: Figure, prefix: str, description: str) -> str:
    """Return a figure as an `svg` element whose ids begin with `prefix`, with `description` as its text alternative."""
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


def smaller(svg: str, prefix: str) -> str:
    """Return a figure's SVG without its invisible parts; referenced ids get `prefix`, other ids are removed."""
    svg = NOT_NEEDED.sub("", svg).strip()
    number = count()
    short = {name: f"{prefix}-{next(number)}" for name in dict.fromkeys(found[1] for found in REFERENCE.findall(svg))}
    svg = ID.sub(lambda found: f' id="{short[found[1]]}"' if found[1] in short else "", svg)
    svg = REFERENCE.sub(lambda found: found[1] + short[found[2]], svg)
    svg = UNTURNED.sub("", svg)
    svg = NUMBERS.sub(lambda found: shorter(found[0]), svg)
    svg = FONTS.sub("font-family: inherit", GAP.sub("><", svg))
    return without_groups(svg).replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "").replace("xlink:href", "href")


def shorter(attribute: str) -> str:
    """Return an attribute made of numbers, such as ` d="M 1.001 2 L 3 4"`, in fewer characters: ` d="M 1 2 3 4"`."""
    text = NUMBER.sub(rounded, " ".join(attribute.split()))
    return " " + LINES.sub(lambda found: found[0][0] + found[0][1:].replace("L ", ""), text)


def rounded(found: re.Match[str]) -> str:
    """Return a number with few digits: `36.73`, `36` for `36.001`, `0` for `-0.001`."""
    text = f"{float(found[0]):.{DIGITS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def without_groups(svg: str) -> str:
    """Return an SVG without empty groups and groups without attributes, removed from the inside out."""
    before = ""
    while before != svg:
        before, svg = svg, BARE_GROUP.sub(r"\1", EMPTY.sub("", svg))
    return svg


def share_styles(svgs: Iterable[str]) -> tuple[list[str], str]:
    """Return the SVGs with classes in place of styles, and the style sheet of these classes."""
    names: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        return f'class="{names.setdefault(found[1], f"s{len(names)}")}"'

    texts = [STYLE.sub(named, svg) for svg in svgs]
    rules = (f".{name}{{{style}}}\n".replace(": ", ":").replace("; ", ";") for style, name in names.items())
    return texts, "".join(rules)
