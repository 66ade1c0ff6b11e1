"""How strong each block's residual branch is compared with its shortcut, before and after training."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.inside.lesions import best_of_each
from analysis.figures.inside.panels import NotMeasured, depth_colors, draw_lines
from analysis.figures.style import MUTED, legend, new_figure, plain_numbers, some_of, whole_numbers
from analysis.frames.axes import name_shortcut
from analysis.frames.inside.untrained import plain_last
from analysis.frames.study import Study

WHEN = {"before training": "--", "at the last epoch probed": "-"}


def draw_branches(study: Study) -> Figure:
    """Return the norm of each residual branch over that of its shortcut, one line per depth; raises NoData."""
    rows, notes = ratios_of(study)
    shortcuts, colors = plain_last(rows["shortcut"]), depth_colors(rows["depth"])
    figure = new_figure(study, "Residual branch over shortcut, by block", 4.2, note="; ".join(notes))
    for axis, shortcut in zip(figure.subplots(1, len(shortcuts), squeeze=False, sharey=True)[0], shortcuts):
        for when, style in WHEN.items():
            part = rows[(rows["shortcut"] == shortcut) & (rows["when"] == when)]
            draw_lines(axis, part, "block", "residual_ratio", colors, log=True, style=style)
        axis.set_yscale("log")
        axis.set_title(name_shortcut(shortcut), fontsize=10)
        axis.set_xlabel("block, counted from 0")
        axis.grid(alpha=0.25)
        whole_numbers(axis)
    plain_numbers(figure.axes[0])
    figure.axes[0].set_ylabel("norm of the branch over norm of the shortcut")
    shades = [Line2D([], [], color=shade, lw=3, label=f"{depth} layers") for depth, shade in colors.items()]
    drawn = set(rows.loc[rows["residual_ratio"] > 0, "when"])  # none before training, if blocks start at zero
    lines = [Line2D([], [], color=MUTED, ls=WHEN[when], label=when) for when in WHEN if when in drawn]
    legend(figure, [*shades, *lines])
    return figure


def ratios_of(study: Study) -> tuple[pd.DataFrame, list[str]]:
    """Return the ratio of each block and `when` it was measured, from trainings or, if these have none, inspections.

    Of several configurations of a depth and shortcut, the one best by validation is taken, as notes say; of untrained
    networks, those with batch norm, and the first of any other conditions.
    """
    rows = study.layers[study.layers["residual_ratio"].notna()]
    if len(rows):
        rows, notes = best_of_each(study, rows)
    else:
        rows = study.untrained.layers
        rows = rows[rows["residual_ratio"].notna() & (rows["norm"] == "batch")]
        kept, notes = some_of(sorted(set(rows["rest"])), 1, "conditions")
        rows, notes = rows[rows["rest"].isin(kept)], [f"{note}: {kept[0]}" for note in notes]
    if rows.empty:
        raise NotMeasured("no run has compared residual branches with their shortcuts")
    last = rows["epoch"] == rows.groupby("path")["epoch"].transform("max")
    rows = rows[last | (rows["epoch"] == 0)]
    before, after = WHEN
    when = rows["epoch"].map(lambda epoch: after if epoch else before)
    return rows.assign(when=when, block=rows["name"].str.extract(r"blocks\.(\d+)", expand=False).astype(int)), notes
