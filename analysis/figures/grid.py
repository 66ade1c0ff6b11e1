"""Accuracy over two numeric axes as a heat map."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from analysis.figures.roles import PANELS, PlotOptions, best_of, roles_of, some_values, with_result
from analysis.figures.scale import LABELS
from analysis.figures.style import NoData, new_figure, spread
from analysis.frames.axes import Axis
from analysis.frames.configurations import MEASURES
from analysis.frames.study import Study, validated

MOST_CELLS = 12  # per side; up to this many, each has its number written in it


def draw_grid(study: Study, options: PlotOptions) -> Figure:
    """Return the mean accuracy over the two numeric axes with the most values; raises NoData.

    It is the validation accuracy, by which values are chosen, unless there is none or another is asked for.
    """
    numbers = sorted((axis for axis in study.axes.axes if axis.numeric), key=lambda axis: -len(axis.values))
    done = study.configurations[study.configurations["n"] > 0]
    if len(numbers) < 2:
        raise NoData("it takes two numeric axes")
    x, y = sorted(numbers[:2], key=lambda axis: axis.name == "layers")
    if len(done.drop_duplicates([x.column, y.column])) <= len(x.values) * len(y.values) / 2:
        raise NoData(f"{x.name} and {y.name} do not form a grid")
    measure = options.measure or ("val_acc" if validated(done) else "test_acc")
    if done[f"{measure}_mean"].isna().all():
        raise NoData(f"no run has a {MEASURES[measure].long}")
    roles = roles_of(study, options)
    panel = next((axis for axis in (roles.panels, roles.by, roles.x) if axis and axis not in (x, y)), None)
    table, notes = best_of(study, done, [axis for axis in (x, y, panel) if axis], with_result(study))
    places, left_out = some_values(table, panel, PANELS) if panel else ([0], [])
    share = 1 if len(places) > 1 else 2 / 3
    about = f"{MEASURES[measure].long.capitalize()} by {x.name} and {y.name}"
    figure = new_figure(study, about, 1.6 + 0.4 * min(len(y.values), MOST_CELLS), share, "; ".join([*notes, *left_out]))
    axes = figure.subplots(1, len(places), squeeze=False, sharey=True)[0]
    values = 100 * table[f"{measure}_mean"]
    norm = Normalize(values.min(), max(values.max(), values.min() + 0.1))
    for axis, place in zip(axes, places):
        part = table if panel is None else table[table[panel.column] == place]
        cells = np.full((len(y.values), len(x.values)), np.nan)
        cells[part[y.column], part[x.column]] = values[part.index]
        draw_cells(axis, cells, norm, x, y)
        axis.set_title("" if panel is None else panel.label(place), fontsize=10)
    axes[0].set_ylabel(LABELS.get(y.name, y.name))
    figure.colorbar(ScalarMappable(norm, "viridis"), ax=axes, label=MEASURES[measure].long, aspect=30)
    return figure


def draw_cells(axis: Axes, cells: np.ndarray, norm: Normalize, x: Axis, y: Axis) -> None:
    """Draw a matrix, with the numbers written in its cells if there is room."""
    axis.imshow(cells, norm=norm, cmap="viridis", aspect="auto", interpolation="none", origin="lower")
    axis.set_facecolor("#EEEEEE")
    for along, ticks in ((x, axis.set_xticks), (y, axis.set_yticks)):
        places = spread(range(len(along.values)), MOST_CELLS)
        ticks(places, [along.text(place) for place in places], fontsize=8)
    axis.set_xlabel(LABELS.get(x.name, x.name))
    if max(cells.shape) <= MOST_CELLS:
        for (row, column), value in np.ndenumerate(cells):
            if np.isfinite(value):
                color = "black" if norm(value) > 0.6 else "white"
                axis.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=7, color=color)
