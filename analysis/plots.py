"""Figures of all runs, a folder per study: curves, accuracy against depth, what happens inside, classes.

A figure whose data are not there is not made, with a line that says so. Runs that are not complete are shown where
a configuration has no complete one, so that a sweep can be looked at while it is under way.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from analysis.command import add_folders, answered
from analysis.figures.by_class import draw_classes, draw_confusion
from analysis.figures.curves import draw_curves, draw_degradation
from analysis.figures.depth import draw_depth
from analysis.figures.layers import draw_gradients, draw_responses
from analysis.figures.style import NoData
from analysis.frames.find import RunsError, places
from analysis.frames.study import Study, load_studies
from analysis.table import Unwritable

# A file is the same bytes whenever it is drawn from the same data; text in an SVG stays text.
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "", "pdf.fonttype": 42, "axes.spines.top": False}
STYLE |= {"axes.spines.right": False, "font.size": 10, "axes.labelsize": 10}
UNDATED = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
DOTS_PER_INCH = 160


@dataclass(frozen=True)
class Plot:
    """A figure that there can be: its file's name, who draws it, and what is seen in it."""

    name: str
    draw: Callable[[Study], Figure]
    caption: str


PLOTS = (
    Plot(
        "depth",
        draw_depth,
        "Accuracy of the last epoch by depth; of several seeds, the 95 % interval; an arrowhead where one goes on.",
    ),
    Plot(
        "curves",
        draw_curves,
        "Loss and accuracy by epoch; of several seeds, the mean, and a band from the lowest to the highest.",
    ),
    Plot("degradation", draw_degradation, "Training error by epoch, plain networks beside residual ones."),
    Plot(
        "gradients",
        draw_gradients,
        "Norm of the gradient of each 3x3 layer's weights by epoch, on a logarithmic scale.",
    ),
    Plot(
        "responses",
        draw_responses,
        "Standard deviation of each 3x3 layer's response, after batch norm and before the nonlinearity.",
    ),
    Plot("classes", draw_classes, "Test accuracy of each class, a mark a configuration, the hardest class first."),
    Plot(
        "confusion",
        draw_confusion,
        "What the images of each class are taken for, in per cent; per shortcut, the configuration best by validation.",
    ),
)


def draw_all(study: Study) -> Iterator[tuple[Plot, Figure | str]]:
    """Yield each plot of a study with its figure, or the reason why there is none."""
    for plot in PLOTS:
        try:
            with matplotlib.rc_context(STYLE):
                figure = plot.draw(study)
        except NoData as reason:
            yield plot, str(reason)
        else:
            yield plot, figure


def save(figure: Figure, target: object, form: str) -> None:
    """Write a figure to a file or buffer, `form` being png, svg or pdf."""
    with matplotlib.rc_context(STYLE):
        figure.savefig(target, format=form, dpi=DOTS_PER_INCH, metadata=UNDATED[form])


def plot_all(folders: Sequence[str], out: Path, form: str) -> None:
    """Draw all figures of all studies and print where each one is; raises RunsError."""
    found = False
    for study in load_studies(folders):
        for plot, figure in draw_all(study):
            if isinstance(figure, str):
                print(f"{study.title}: no figure of {plot.name}, {figure}", file=sys.stderr)
                continue
            found = True
            file = out / study.name.replace("..", "__") / f"{plot.name}.{form}"
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                save(figure, file, form)
            except OSError as error:
                raise Unwritable(f"{file}: cannot be written, {error.strerror}") from None
            print(file)
    if not found:
        raise RunsError(f"{places(folders)}: nothing to draw yet, no run has finished an epoch")


@answered
def main(arguments: Sequence[str] | None = None) -> int:
    """Answer the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m analysis.plots", description=__doc__)
    add_folders(parser)
    add = parser.add_argument
    add("--out", metavar="DIR", type=Path, default=Path("figures"), help="where to (default: figures)")
    add("--format", choices=tuple(UNDATED), default="png", help="png for screens, svg and pdf for print")
    given = parser.parse_args(arguments)
    sys.stdout.reconfigure(errors="backslashreplace")  # a folder's name can hold what a terminal cannot show
    plot_all(given.folders, given.out, given.format)
    return 0


if __name__ == "__main__":
    sys.exit(main())
