"""What the comment on top of an experiment's file says of the runs that came from it."""

import re
from collections.abc import Iterable
from pathlib import Path

from analysis.frames.settings import Row

EXPERIMENTS = Path(__file__).parents[2] / "conf" / "experiment"  # not there where only the package is installed
ASKED = re.compile(r"^# Question\s+(.*(?:\n#\s{2,}.*)*)", re.MULTILINE)
TUNED = re.compile(r"^# Tuned\s+(\S+), by (\S+)", re.MULTILINE)


def comment_of(rows: Iterable[Row]) -> str:
    """Return the file of the experiment that all of some runs came from; empty if they are of none, or of several."""
    names = {row["choices"].get("experiment") for row in rows}
    file = EXPERIMENTS / f"{names.pop()}.yaml" if len(names) == 1 else None
    return file.read_text(encoding="utf-8") if file is not None and file.is_file() else ""


def question_of(rows: Iterable[Row]) -> str:
    """Return what an experiment was to find out."""
    found = ASKED.search(comment_of(rows))
    text = " ".join(found[1].replace("\n#", " ").split()) if found else ""
    return text[: text.rfind("?") + 1]


def tuned_by(rows: Iterable[Row]) -> dict[str, str]:
    """Return the keys of which an experiment gives each configuration its own value, and where that was chosen."""
    return dict(TUNED.findall(comment_of(rows)))
