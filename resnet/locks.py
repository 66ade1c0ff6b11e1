"""Locks between processes, on the file systems that have them."""

import errno
import fcntl
import logging
from functools import cache

log = logging.getLogger(__name__)

# What Lustre, CIFS and some of FUSE answer to what they do not know.
UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTTY}


def lock(descriptor: int, wait: bool = False) -> None:
    """Lock an open file until it is closed; raises BlockingIOError, unless it may `wait`, where another process has it.

    Where the file system has no locks there is none, and a warning, once.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        warn_of_missing_locks()


@cache
def warn_of_missing_locks() -> None:
    """Say once what is missing."""
    log.warning("This file system has no locks: do not start the same run, or the same download, twice at a time.")
