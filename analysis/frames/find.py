"""Find run folders, in `runs`, a study, a configuration, or being one."""

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

DEFAULT = "runs"
REFERENCE = Path(DEFAULT, "reference")  # studies that come with the project
LEVELS = 5  # below a folder that is given, at most: ./runs/reference/<study>/<configuration>/seed<k>
SEED_FOLDER = re.compile(r"seed\d+")
RUN_FILES = {"config.yaml", "metrics.csv", "result.json", "failure.json"}


class RunsError(Exception):
    """No run to read: answered with its text, in one line."""

    exit_code = 1


class MissingFolder(RunsError):
    """A folder that was asked for and is not there."""

    exit_code = 2


def warn(message: object) -> None:
    """Say on stderr, in one line, what was left out and why."""
    print("warning:", " ".join(str(message).split()), file=sys.stderr)


def places(folders: Iterable[str | Path]) -> str:
    """Return in words where runs were looked for."""
    return ", ".join(map(str, folders)) or DEFAULT


def find_runs(folders: Iterable[str | Path]) -> list[Path]:
    """Return the run folders in and below `folders`, each once; raises MissingFolder.

    Without any folder, those in `runs`: the user's own, or those of the reference if there are no others.
    """
    folders = list(folders)
    if not folders:
        return _own(find_runs([DEFAULT]))
    walk = _Walk()
    for folder in map(str, folders):
        if folder == DEFAULT and not os.path.exists(folder):
            continue  # nothing has been trained yet, which is no mistake
        if not os.path.isdir(folder):
            raise MissingFolder(f"{folder}: {'not a' if os.path.exists(folder) else 'no such'} folder")
        walk.visit(os.path.normpath(folder), LEVELS)
    return [Path(path) for path in walk.runs]


def _own(runs: list[Path]) -> list[Path]:
    """Return the runs that are not part of the reference, saying so; all where there are no others."""
    own = [path for path in runs if REFERENCE not in path.parents]
    if 0 < len(own) < len(runs):
        print(f"{REFERENCE} is left out beside your own runs; to have both, name {DEFAULT}", file=sys.stderr)
    return own or runs


class _Walk:
    """One pass over folder trees, in which no folder is visited twice: links neither loop nor double."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.visited: set[tuple[int, int]] = set()

    def visit(self, folder: str, levels: int) -> bool:
        """Collect the runs of a tree; return False where it only holds other things."""
        try:
            status = os.stat(folder)
            with os.scandir(folder) as entries:
                entries = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            warn(f"{folder}: {error.strerror}")
            return True
        inode = status.st_dev, status.st_ino
        if inode in self.visited:
            return True
        self.visited.add(inode)
        below = [entry for entry in entries if entry.is_dir()]
        if _is_run(folder, entries, below):
            self.runs.append(folder)
            return True
        return self._visit_all(below, levels - 1) or not entries

    def _visit_all(self, folders: list[os.DirEntry], levels: int) -> bool:
        """Visit the folders in one folder; return whether there was a run in any of them."""
        before = len(self.runs)
        real_ones_first = sorted(folders, key=lambda entry: (entry.is_symlink(), entry.name)) if levels >= 0 else []
        barren = [entry.path for entry in real_ones_first if not self.visit(entry.path, levels)]
        found = len(self.runs) > before
        for path in barren if found else ():  # if all are barren, the line is about the folder that they are in
            warn(f"{path}: holds no run")
        return found


def _is_run(folder: str, entries: list[os.DirEntry], below: list[os.DirEntry]) -> bool:
    """Return whether a folder is read as a run: by its name, unless it is that of a study, or by its files."""
    named = SEED_FOLDER.fullmatch(os.path.basename(os.path.abspath(folder)))
    has_files = any(entry.name in RUN_FILES for entry in entries)
    return has_files or not below if named else has_files and not below
