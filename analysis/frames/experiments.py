"""What the comment at the top of an experiment's file says about the runs that came from it."""

import re
from collections.abc import Iterable
from pathlib import Path

from analysis.frames.find import REFERENCE
from analysis.frames.settings import Row

ROOT = Path(__file__).parents[2]
CONF = ROOT / "resnet" / "conf" if (ROOT / "resnet" / "conf").is_dir() else ROOT / "conf"  # installed, or a checkout
PART = re.compile(r"^# (\w[\w ]*?)\s{2,}(\S.*(?:\n#\s{2,}.*)*)", re.MULTILINE)


def parts_of(experiment: str) -> dict[str, str]:
    """Return the parts of the comment at the top of an experiment's file, by name; none without such a file."""
    file = CONF / "experiment" / f"{experiment}.yaml"
    if not file.is_file():
        return {}
    top = re.split(r"^(?!#)", file.read_text(encoding="utf-8"), maxsplit=1, flags=re.MULTILINE)[0]
    return {name: " ".join(text.replace("\n#", " ").split()) for name, text in PART.findall(top)}


def parts_of_runs(rows: Iterable[Row]) -> dict[str, str]:
    """Return the parts of the experiment that all these runs came from; none if they came from several.

    A reference study with an experiment's name came from that experiment, whatever it was called then.
    """
    names = {(row["choices"].get("experiment"), row["study"]) for row in rows}
    if len(names) != 1:
        return {}
    experiment, study = names.pop()
    folder, _, name = study.rpartition("/")
    renamed = parts_of(name) if Path(folder).name == REFERENCE else {}
    return (renamed or parts_of(experiment)) if experiment else {}


def question_of(rows: Iterable[Row]) -> str:
    """Return the question that an experiment was made to answer."""
    text = parts_of_runs(rows).get("Question", "")
    return text[: text.rfind("?") + 1]


def tuned_by(rows: Iterable[Row]) -> dict[str, str]:
    """Return the key for which an experiment gives each configuration its own value, and where that was chosen."""
    key, _, by = parts_of_runs(rows).get("Tuned", "").partition(", by ")
    return {key: by} if by else {}
