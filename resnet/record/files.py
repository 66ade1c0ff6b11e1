"""Files that are whole whenever one looks, and tables of whole rows."""

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resnet.locks import UNSUPPORTED


def read_header(path: Path) -> list[str]:
    """Return the column names of a table; none if there is no such file."""
    lines = whole_lines(path)
    return lines[0].split(",") if lines else []


def read_table(path: Path, columns: Sequence[str]) -> list[list[str]]:
    """Return a table's rows as text, up to the first incomplete one; none if its columns are not `columns`."""
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
    """Return the lines that have their end; what comes after the last of them was cut off."""
    try:
        return path.read_bytes().decode(errors="replace").split("\n")[:-1]
    except FileNotFoundError:
        return []


def format_rows(rows: Sequence[Sequence[Any]]) -> bytes:
    """Return rows as CSV: floats with all their digits, None as nothing."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def format_table(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return at least one row as CSV, its keys as the head."""
    return format_rows([list(rows[0]), *(list(row.values()) for row in rows)])


def format_json(content: dict[str, Any]) -> bytes:
    """Return a dictionary as JSON, one line per key: to be read by people, too, even with a confusion matrix in it."""
    lines = (f" {json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in content.items())
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def append(path: Path, content: bytes) -> None:
    """Add to the end of a file, and sync it to the disk."""
    with named(path), open(path, "ab") as file:
        file.write(content)
        file.flush()
        sync(file.fileno())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that at any moment either nothing of it is there, the old one, or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    with named(path):
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                sync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)  # on a full disk it would be in the way of what comes next
            raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Sync the entries of a folder to the disk: files made, renamed or removed.

    Without effect on a file system that cannot, or where the folder may be written to and not read.
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
    """Name the file in an error of writing; the system names none, or the temporary one."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise
