"""Rows as aligned text."""

from collections.abc import Sequence


def layout(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Return rows as lines, two blanks between columns; the first `left` columns begin, the others end, in line."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [f"{cell:<{w}}" if n < left else f"{cell:>{w}}" for n, (cell, w) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return lines
