"""A two-way table of one measure: a row per value of one axis, a column per value of another."""

from analysis.frames.axes import UNITS
from analysis.frames.configurations import MEASURES
from analysis.frames.find import BadRequest
from analysis.frames.settings import Row
from analysis.frames.study import Study
from analysis.page.columns import measured
from analysis.page.rendering import Grid
from analysis.page.tables import constant_columns, heading_of, table_notes


def pivot(study: Study, first: str, second: str, measure: str = "test_acc") -> Grid:
    """Return the measure by two axes; the first columns of a row name what else varies. Raises BadRequest."""
    down, across = study.axis(first), study.axis(second)
    if down == across:
        raise BadRequest(f"{first} and {second} are the same axis")
    if measure not in MEASURES:
        raise BadRequest(f"{measure}: no such measure; there are {', '.join(MEASURES)}")
    others = [axis for axis in study.axes.axes if axis not in (down, across)]
    cells: dict[tuple[int, ...], dict[int, str]] = {}
    front = [*others, down]
    for row in study.configurations.sort_values([axis.column for axis in front]).to_dict("records"):
        line = cells.setdefault(tuple(row[axis.column] for axis in front), {})
        line[row[across.column]] = ", ".join(filter(None, [line.get(row[across.column]), cell(measure, row)]))
    places = range(len(across.values))
    rows = [
        [*(axis.text(place) for axis, place in zip(front, line)), *(found.get(place, "") for place in places)]
        for line, found in cells.items()
    ]
    named = across.name == "shortcut" or across.name in UNITS  # the title names other axes
    head = [*(axis.name for axis in front), *(across.label(place) if named else across.text(place) for place in places)]
    numeric = [*(axis.numeric for axis in front), *[True] * len(places)]
    shown = {axis.name for axis in (*front, across)}
    fixed = constant_columns(study, study.configurations.to_dict("records"))
    heading = heading_of(study, {name: text for name, text in fixed.items() if name not in {*shown, *MEASURES}})
    title = f"{study.title}: {MEASURES[measure].long} by {down.name}, and {across.name} across"
    return Grid(title, head, rows, numeric, table_notes(study, study.configurations, False), heading)


def cell(measure: str, row: Row) -> str:
    """Return a mean and, if some runs are not complete, how many of them it covers."""
    return measured(measure, row) + (f" ({row['seeds'].partition(' (')[0]})" if " of " in row["seeds"] else "")
