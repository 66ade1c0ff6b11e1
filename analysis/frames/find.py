"""Find run folders below `runs`, a study or a configuration, or take the folder of a run itself."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

REFERENCE = "reference"  # the folder of studies that come with the project, inside the default folder
LEVELS = 5  # deepest search below a given folder: ./runs/reference/<study>/<configuration>/seed<k>
HYDRA_LOG = "run.log"  # written before the run starts
RUN_FILES = {"config.yaml", "metrics.csv", "result.json", "failure.json"}


class RunsError(Exception):
    """A request that cannot be answered; the message is one line for the user."""

    exit_code = 1


class BadRequest(RunsError):
    """A request that makes no sense as it stands: a folder that does not exist, an output that cannot be written."""

    exit_code = 2


class Lacking(BadRequest):
    """A request that one study cannot answer though another might: it lacks an axis, a column or a validation."""


def warn(message: object) -> None:
    """Print a one-line warning on stderr."""
    print("warning:", " ".join(str(message).split()), file=sys.stderr)


def default_folder() -> str:
    """Return the folder of the user's runs: $RESNET_RUNS, or `runs`."""
    return os.path.normpath(os.path.expanduser(os.environ.get("RESNET_RUNS") or "runs"))


def searched(folders: Iterable[str | Path]) -> str:
    """Return the searched folders, for a message."""
    return ", ".join(map(str, folders)) or default_folder()


def find_runs(folders: Iterable[str | Path]) -> list[Path]:
    """Return the run folders in and below `folders`, each once; raises BadRequest.

    Without any folder: the user's own runs in the default folder, or the reference runs if there are no others.
    """
    folders = list(map(str, folders))
    if not folders:
        return _own(find_runs([default_folder()]))
    runs: list[str] = []
    seen: set[tuple[int, int]] = set()
    for folder in folders:
        if folder == default_folder() and not os.path.exists(folder):
            continue  # nothing has been trained yet
        if not os.path.isdir(folder):
            raise BadRequest(f"{folder}: {'not a' if os.path.exists(folder) else 'no such'} folder")
        runs += _search(os.path.normpath(folder), LEVELS, seen) or []
    return [Path(path) for path in runs]


def _own(runs: list[Path]) -> list[Path]:
    """Return the runs outside the reference, with a note on stderr; all runs if there are no others."""
    reference = Path(default_folder(), REFERENCE)
    own = [path for path in runs if reference not in path.parents]
    if 0 < len(own) < len(runs):
        both = f"to have both, name {reference.parent}"
        print(f"{reference} is left out because you have runs of your own; {both}", file=sys.stderr)
    return own or runs


def is_folder(entry: os.DirEntry) -> bool:
    """Return whether an entry is a folder; a link that cannot be followed is not one, and gets a warning."""
    try:
        return entry.is_dir()
    except OSError as error:
        warn(f"{entry.path}: {error.strerror}")
        return False


def _search(folder: str, levels: int, seen: set[tuple[int, int]]) -> list[str] | None:
    """Return the run folders of a tree; None if it is empty, unreadable or was visited before.

    `seen` holds the device and inode of visited folders, so that symbolic links neither loop nor count a run twice.
    """
    try:
        status = os.stat(folder)
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        return warn(f"{folder}: {error.strerror}")
    inode = status.st_dev, status.st_ino
    if inode in seen or not visible:
        return None
    seen.add(inode)
    if any(entry.name in RUN_FILES for entry in visible):
        return [folder]
    below = sorted((entry.is_symlink(), entry.path) for entry in visible if is_folder(entry)) if levels else []
    found = {path: _search(path, levels - 1, seen) for _, path in below}
    runs = [run for part in found.values() for run in part or []]
    if all(entry.name == HYDRA_LOG or found.get(entry.path, []) is None for entry in visible):
        return None  # only Hydra's log: a run that was stopped before its first step
    for path in [path for path, part in found.items() if part == []] if runs else []:
        warn(f"{path}: holds no run")
    return runs
