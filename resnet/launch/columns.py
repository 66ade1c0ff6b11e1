"""Rows as aligned text."""

from collections.abc import Sequence


def layout(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Return rows as lines, columns two spaces apart: the first `left` left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [f"{cell:<{w}}" if n < left else f"{cell:>{w}}" for n, (cell, w) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return lines
