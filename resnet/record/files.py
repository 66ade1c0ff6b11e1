"""Write files atomically, append to tables, and read tables up to the first incomplete row."""

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resnet.locks import UNSUPPORTED


def read_table(path: Path, columns: Sequence[str]) -> list[list[str]]:
    """Return a table's rows as text, up to the first incomplete one; empty if its columns are not `columns`."""
    rows: list[list[str]] = []
    header, *lines = whole_lines(path) or [""]
    if header.split(",") != list(columns):
        return rows
    for line in lines:
        row = line.split(",")
        if len(row) != len(columns) or not row[0].isdigit() or "\0" in line:
            break
        rows.append(row)
    return rows


def whole_lines(path: Path) -> list[str]:
    """Return the lines that end in a newline, without a last line that was cut off."""
    try:
        return path.read_bytes().decode(errors="replace").split("\n")[:-1]
    except FileNotFoundError:
        return []


def format_rows(rows: Sequence[Sequence[Any]]) -> bytes:
    """Return rows as CSV: floats with all their digits, None as an empty field."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def format_table(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return rows (at least one) as CSV, with their keys as the header."""
    return format_rows([list(rows[0]), *(list(row.values()) for row in rows)])


def format_json(content: dict[str, Any]) -> bytes:
    """Return a dictionary as JSON, one line per key, so that people can read it even with a confusion matrix in it."""
    lines = (f" {json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in content.items())
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def append(path: Path, content: bytes) -> None:
    """Append to a file, and sync it to the disk."""
    with named(path), open(path, "ab") as file:
        file.write(content)
        file.flush()
        sync(file.fileno())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically: at any moment it is absent, the old version, or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    with named(path):
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                sync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)  # on a full disk it would take space from later writes
            raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Sync the entries of a folder to the disk: files created, renamed or removed.

    Does nothing if the file system does not support it, or if the folder is writable but not readable.
    """
    try:
        folder = os.open(path, os.O_RDONLY)
    except PermissionError:
        return
    try:
        sync(folder)
    finally:
        os.close(folder)


def sync(descriptor: int) -> None:
    """Sync an open file or folder to the disk, if the file system can."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Name the file in a write error; the system names no file, or the temporary one."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise
