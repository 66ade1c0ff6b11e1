"""Locks between processes, on the file systems that have them."""

import errno
import fcntl
import logging
from functools import cache

log = logging.getLogger(__name__)

# The errors of Lustre, CIFS and some FUSE file systems for a call that they do not support.
UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTTY}


def lock(descriptor: int, wait: bool = False) -> None:
    """Lock an open file until it is closed; if another process has the lock, `wait` or raise BlockingIOError.

    If the file system has no locks, the file stays unlocked, with one warning per process.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        warn_of_missing_locks()


@cache
def warn_of_missing_locks() -> None:
    """Warn once that there are no locks."""
    log.warning("This file system has no locks: do not start a run, or a download, twice at the same time.")
