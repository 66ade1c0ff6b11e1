"""Read the files of a run folder: YAML, JSON, and tables that may still be growing."""

import functools
import io
import json
import re
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from analysis.frames.find import warn

# Types of table columns; all others are floats.
TYPES = {"epoch": int, "layer": int, "name": str, "lesion": str, "converged": bool}
SEED_LINE = re.compile(r"^seed: (\d+)$", re.MULTILINE)

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast, but not always built


class Damaged(Exception):
    """A file that cannot be read; the message names the file and the reason."""


def read_config(file: Path) -> Any:
    """Return the contents of a config.yaml, None if there is no file; raises Damaged.

    The files of a configuration's seeds differ in one line, so all other lines are parsed only once.
    """
    return _parse(file, _parse_config)


def _parse_config(text: str) -> Any:
    seed = SEED_LINE.search(text)
    if seed is None:
        return _load_yaml(text)
    return {**_load_yaml(text[: seed.start()] + text[seed.end() :]), "seed": int(seed[1])}


@functools.lru_cache(maxsize=64)
def _load_yaml(text: str) -> Any:
    return yaml.load(text, Loader)


def read_json(file: Path) -> Any:
    """Return the contents of a JSON file, None if there is no file; raises Damaged."""
    return _parse(file, json.loads)


def read_json_lines(file: Path) -> list[Any]:
    """Return the complete lines of a file of JSON lines, none if there is no file; raises Damaged."""
    return _parse(file, lambda text: [json.loads(line) for line in text.split("\n")[:-1]]) or []


def _parse(file: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Damaged(f"{file}: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        raise Damaged(f"{file}: not YAML, {error.problem}") from None
    except (ValueError, AttributeError, yaml.YAMLError, RecursionError) as error:
        raise Damaged(f"{file}: {error}") from None


def complete_lines(file: Path) -> tuple[list[str], list[str]]:
    """Return a table's column names and its complete lines; both empty if there is no file. Raises Damaged.

    Text after the last line end is a row still being written. A line with too few or too many values ends the table,
    with a warning.
    """
    text: str = _parse(file, str) or ""
    head, *lines = text.split("\n")
    for number, line in enumerate(lines[:-1]):
        if line.count(",") != head.count(",") or "\0" in line:
            warn(f"{file}: line {number + 2} is damaged; it and all later lines are left out")
            return head.split(","), lines[:number]
    return head.split(",") if head else [], lines[:-1]


def read_tables(files: Sequence[Path], columns: Sequence[str]) -> pd.DataFrame:
    """Return the complete rows of many tables, with each row's position in `files` as the index.

    A column that a file lacks has missing values; a column that is not in `columns` is dropped. A file that cannot be
    read is left out with a warning; one that does not exist has no rows.
    """
    by_head: dict[tuple[str, ...], dict[int, list[str]]] = {}
    for position, file in enumerate(files):
        try:
            head, lines = complete_lines(file)
            if head and columns[0] not in head:
                raise Damaged(f"{file}: its columns are {','.join(head)!r:.60}, without {columns[0]}")
        except Damaged as error:
            warn(error)
        else:
            by_head.setdefault(tuple(head), {})[position] = lines
    tables = [_read_alike(files, lines, head) for head, lines in by_head.items() if head]
    frames = [table.reindex(columns=list(columns)) for table in tables if len(table)]
    return pd.concat(frames).sort_index(kind="stable") if frames else _as_frame({}, columns)


def _read_alike(files: Sequence[Path], lines: dict[int, list[str]], head: Sequence[str]) -> pd.DataFrame:
    """Return the rows of tables that have the same columns; a table whose values do not parse is left out."""
    try:
        return _as_frame(lines, head)  # tens of times as fast as file by file
    except (ValueError, OverflowError) as error:
        if len(lines) > 1:
            return pd.concat([_read_alike(files, {position: part}, head) for position, part in lines.items()])
        warn(f"{files[next(iter(lines))]}: {error}")
        return _as_frame({}, head)


def _as_frame(lines: dict[int, list[str]], columns: Sequence[str]) -> pd.DataFrame:
    """Return lines as typed rows, indexed by their key; raises ValueError or OverflowError if a value is wrong."""
    index = np.repeat(list(lines), [len(part) for part in lines.values()]).astype(int)
    types = {column: TYPES.get(column, float) for column in columns}
    if not len(index):
        return pd.DataFrame(columns=list(columns), index=index).astype(types)
    text = io.StringIO("\n".join(chain.from_iterable(lines.values())))
    return pd.read_csv(text, header=None, names=list(columns), dtype=types).set_index(index)
