"""Draw all figures of all studies, a folder per study: accuracy along the axes, curves, layers, classes.

A figure whose data are missing is skipped, with a line that says so. Figures over epochs and layers draw a
configuration without a complete run from its incomplete ones, so that you can look at a sweep while it is under way.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.command import add_best, add_folders, exit_on_error, writing
from analysis.figures.gallery import UNDATED, draw_all, save
from analysis.figures.roles import PlotOptions, roles_of
from analysis.frames.find import RunsError, searched
from analysis.frames.study import Study, load_studies, those_that_can

ACCURACIES = ("test_acc", "val_acc", "train_acc")


def plot_all(folders: Sequence[str], out: Path, form: str, options: PlotOptions, best: Sequence[str]) -> None:
    """Write every figure of every study in `folders`, and print their paths; raises RunsError.

    Of several studies, those without the axes in `options` are left out.
    """

    def checked(study: Study) -> Study:
        roles_of(study, options)
        return study

    found = False
    for study in those_that_can(checked, load_studies(folders, best)):
        for plot, figure in draw_all(study, options):
            if isinstance(figure, str):
                print(f"{study.title}: no figure of {plot.name}, {figure}", file=sys.stderr)
                continue
            found = True
            file = out / study.name.replace("..", "__") / f"{plot.name}.{form}"
            with writing(file):
                file.parent.mkdir(parents=True, exist_ok=True)
                save(figure, file, form)
            print(file)
    if not found:
        raise RunsError(f"{searched(folders)}: nothing to draw yet, no run has finished an epoch")


@exit_on_error
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m analysis.plots", description=__doc__)
    add_folders(parser)
    add = parser.add_argument
    add("--out", metavar="DIR", type=Path, default=Path("figures"), help="output directory (default: figures)")
    add("--format", choices=tuple(UNDATED), default="png", help="png for screens, svg and pdf for print")
    add("--x", metavar="AXIS", default="", help="horizontal: an axis, multiply_adds, parameters or wall_seconds")
    add("--by", metavar="AXIS", default="", help="a line for each value of this axis")
    add("--panels", metavar="AXIS", default="", help="a panel for each value of this axis")
    add("--measure", choices=ACCURACIES, default="", help="the vertical axis (default: test_acc and val_acc)")
    add_best(parser)
    given = parser.parse_args(arguments)
    options = PlotOptions(given.x, given.by, given.panels, given.measure)
    plot_all(given.folders, given.out, given.format, options, given.best)
    return 0


if __name__ == "__main__":
    sys.exit(main())
