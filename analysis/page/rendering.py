"""A table of strings with a title and notes, rendered as Markdown that also reads well on a terminal, or as LaTeX."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup, escape

LATEX = {character: f"\\{character}" for character in "&%$#_{}"}
LATEX |= {"±": r"$\pm$", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
SIGN = re.compile(r"(?<![\w-])-(?=\d)")  # a minus sign, not a hyphen

BREAK = re.compile(r"(?<=[a-z])[._/](?=[a-z])")


@dataclass(frozen=True)
class Grid:
    """A title, a header, rows of its length, which columns are numeric, notes below, and a heading: what rows share."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[bool]
    notes: Sequence[str] = ()
    heading: str = ""


def markdown(grid: Grid) -> str:
    """Return the grid as a Markdown section with aligned columns."""
    lines, widths = _measured(grid)
    rule = ["-" * (width - 1) + (":" if right else "-") for width, right in zip(widths, grid.numeric)]
    lines.insert(1, rule)
    table = ["| " + " | ".join(_aligned(row, widths, grid.numeric)) + " |" for row in lines]
    title = " ".join(grid.title.split())
    heading = [" ".join(grid.heading.split()), ""] if grid.heading else []
    return "\n".join([f"## {title}", "", *heading, *table, *(f"\n{note}" for note in grid.notes)]) + "\n"


def width_of(grid: Grid) -> int:
    """Return how many characters wide a grid is in Markdown."""
    _, widths = _measured(grid)
    return sum(widths) + 3 * len(widths) + 1


def _measured(grid: Grid) -> tuple[list[list[str]], list[int]]:
    """Return the cells of the header and the rows, escaped for Markdown, and the width of each column."""
    lines = [[" ".join(cell.replace("|", "\\|").split()) for cell in row] for row in (grid.head, *grid.rows)]
    return lines, [max(3, *map(len, column)) for column in zip(*lines)]


def _aligned(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    return [cell.rjust(width) if r else cell.ljust(width) for cell, width, r in zip(row, widths, right)]


def longest_word(text: str) -> int:
    """Return the length of the longest part of a text that contains no possible line break."""
    return max(map(len, BREAK.sub(" ", text).split()), default=0)


def breakable(text: str) -> Markup:
    """Return a text as HTML that may break inside `optimizer.weight_decay`, but not between ± and its number."""
    return Markup(BREAK.sub(r"\g<0><wbr>", str(escape(text.replace("± ", "±\u00a0")))))


def latex(grid: Grid) -> str:
    """Return the grid as a LaTeX table, which needs the package booktabs."""
    cells = [[latex_text(cell) for cell in row] for row in (grid.head, *grid.rows)]
    table = pd.DataFrame(cells[1:], columns=cells[0]).style.hide(axis="index")
    columns = "".join("r" if right else "l" for right in grid.numeric)
    text = table.to_latex(column_format=columns, caption=latex_text(grid.title), hrules=True)
    below = [grid.heading, *grid.notes] if grid.heading else grid.notes
    notes = "".join(f"\n\\footnotesize {latex_text(note)}\n" for note in below)
    return text.replace("\\end{table}", f"{notes}\\end{{table}}")


def latex_text(text: str) -> str:
    """Return a text with LaTeX's special characters escaped."""
    plain = "".join(LATEX.get(character, character) for character in " ".join(text.split()))
    return "{}" * plain.startswith("[") + SIGN.sub("$-$", plain)  # after \\, LaTeX reads [...] as a length
