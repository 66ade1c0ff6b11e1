"""Measure what finished networks lose without one of their blocks, or with two neighbours swapped.

    python -m resnet.lesion runs/default/blocks15-projection-…/seed0 runs/…

Each block is removed, and each pair of neighbours that keep the shape is swapped, one lesion at a time. Accuracy is
measured on the held-out images, never on the test set. Writes lesions.csv into each run's folder. Removing a residual
block leaves its shortcut, even where the shape changes; a plain block can only be removed where the shape stays the
same.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from resnet.bar import BAR_OUTPUT
from resnet.command import RunParser
from resnet.errors import exit_on_error
from resnet.inspection.lesions import lesions_of
from resnet.record.files import format_table, write_whole
from resnet.record.trained import load_trained
from resnet.training.device import set_up_process


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = RunParser("resnet.lesion", __doc__, several=True)
    parser.add_data_root()
    given = parser.parse_args(arguments)
    set_up_process()
    for path in given.run:
        trained = load_trained(path)
        watch = partial(tqdm, desc=str(path), leave=False, disable=None, file=BAR_OUTPUT)
        rows = lesions_of(trained, given.data_root, watch)
        write_whole(path / "lesions.csv", format_table(rows))
        print(describe(path, rows))
    return 0


def describe(path: Path, rows: list[dict]) -> str:
    """Return a few lines about the lesions of a run."""
    whole = rows[0]["accuracy"]
    lines = [f"{path}: {whole:.2%} of the held-out images with all blocks"]
    for lesion, words in (("remove", "without one block"), ("swap", "with two neighbours swapped")):
        found = [row["accuracy"] for row in rows if row["lesion"] == lesion]
        if found:
            lines.append(f"  {words}: {min(found):.2%} to {max(found):.2%}, {len(found)} case{'s' * (len(found) > 1)}")
    return "\n".join(lines)


if __name__ == "__main__":
    with exit_on_error():
        sys.exit(main())
