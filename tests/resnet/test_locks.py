"""File systems that have no locks, or cannot sync a folder to the disk."""

import errno
import fcntl
import logging
import os
import stat

import pytest

from resnet import locks
from resnet.record.files import append, write_whole
from resnet.record.folder import RunFolder
from resnet.training.downloads import _locked


@pytest.fixture
def no_locks(monkeypatch):
    """Return a function that makes every request for a lock fail with an errno."""

    def answer(number: int) -> None:
        def flock(descriptor: int, operation: int) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)
        locks.warn_of_missing_locks.cache_clear()

    return answer


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_without_locks_there_is_one_warning(tmp_path, caplog, no_locks, number):
    no_locks(number)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with RunFolder(tmp_path).lock(), _locked(tmp_path):
                pass
    assert [record.message for record in caplog.records if "has no locks" in record.message] == [
        "This file system has no locks: do not start a run, or a download, twice at the same time."
    ]


def test_any_other_failure_of_a_lock_is_an_error(tmp_path, no_locks):
    no_locks(errno.EIO)
    with pytest.raises(OSError, match="Input/output"), RunFolder(tmp_path).lock():
        pass


@pytest.fixture
def no_sync(monkeypatch):
    """Return a function that makes every attempt to sync a folder, but not a file, fail with an errno."""
    fsync = os.fsync

    def answer(number: int) -> None:
        def only_files(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(number, os.strerror(number))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", only_files)

    return answer


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, no_sync, number):
    no_sync(number)
    write_whole(tmp_path / "file", b"whole")
    append(tmp_path / "file", b", and more")
    assert (tmp_path / "file").read_bytes() == b"whole, and more"


def test_a_folder_that_has_no_space_left_is_an_error(tmp_path, no_sync):
    no_sync(errno.ENOSPC)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "file", b"whole")


def test_a_process_that_waits_for_a_download_says_so(tmp_path, caplog, monkeypatch):
    asked = []

    def flock(descriptor: int, operation: int) -> None:
        asked.append(operation)
        if operation & fcntl.LOCK_NB:
            raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", flock)
    with caplog.at_level(logging.INFO), _locked(tmp_path):
        pass
    assert asked == [fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_EX]
    assert f"data.root={tmp_path}: another process is downloading to it" in caplog.text
