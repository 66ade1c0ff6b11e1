"""The files of a run folder, read with suspicion: each is what it should be, not there, or `Damaged`."""

import io
import json
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from analysis.frames.find import warn

TYPES = {"epoch": int, "layer": int, "name": str}  # columns of tables; every other one is a float

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast, but not everywhere


class Damaged(Exception):
    """A file that is not what a run folder should have there; its text names the file and the reason."""


def read_yaml(file: Path) -> Any:
    """Return what a YAML file holds, None where it is not there; raises Damaged."""
    return _parse(file, lambda text: yaml.load(text, Loader))


def read_json(file: Path) -> Any:
    """Return what a JSON file holds, None where it is not there; raises Damaged."""
    return _parse(file, json.loads)


def _parse(file: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Damaged(f"{file}: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        raise Damaged(f"{file}: not YAML, {error.problem}") from None
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise Damaged(f"{file}: {error}") from None


def whole_lines(file: Path, columns: Sequence[str]) -> list[str]:
    """Return a table's lines below its head, up to the first that is not whole; none where there is no file.

    What follows the last line end is a row being written. Raises Damaged where the columns are others.
    """
    text = _parse(file, str)
    if not text:
        return []
    head, *lines = text.split("\n")
    if head != ",".join(columns):
        raise Damaged(f"{file}: its columns are {head!r:.60}, not {','.join(columns)}")
    for number, line in enumerate(lines[:-1]):
        if line.count(",") != len(columns) - 1 or "\0" in line:
            warn(f"{file}: line {number + 2} is damaged; left out, with what follows")
            return lines[:number]
    return lines[:-1]


def read_tables(files: Sequence[Path], columns: Sequence[str]) -> pd.DataFrame:
    """Return the whole rows of many tables, with each row's position in `files` as the index.

    A damaged file is left out with a warning; one that is not there has no rows.
    """
    lines: dict[int, list[str]] = {}
    for position, file in enumerate(files):
        try:
            lines[position] = whole_lines(file, columns)
        except Damaged as error:
            warn(error)
    try:
        return _as_frame(lines, columns)  # tens of times as fast as file by file
    except (ValueError, OverflowError):
        return _as_frame({p: part for p, part in lines.items() if _is_sound(files[p], part, columns)}, columns)


def _as_frame(lines: dict[int, list[str]], columns: Sequence[str]) -> pd.DataFrame:
    """Return lines as typed rows, their key as the index; raises ValueError or OverflowError where one is no number."""
    index = np.repeat(list(lines), [len(part) for part in lines.values()]).astype(int)
    types = {column: TYPES.get(column, float) for column in columns}
    if not len(index):
        return pd.DataFrame(columns=list(columns), index=index).astype(types)
    text = io.StringIO("\n".join(chain.from_iterable(lines.values())))
    return pd.read_csv(text, header=None, names=list(columns), dtype=types).set_index(index)


def _is_sound(file: Path, lines: list[str], columns: Sequence[str]) -> bool:
    """Return whether a table's values are of their types, with a warning if not."""
    try:
        _as_frame({0: lines}, columns)
    except (ValueError, OverflowError) as error:
        warn(f"{file}: {error}")
        return False
    return True
