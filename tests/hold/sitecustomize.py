"""Let a test pause a process at a known point, not after a delay. Python imports this at startup if it is on its path.

HOLD names a file that contains the end of a path. A process that has moved a file to such a path pauses until a signal
arrives or the file that HOLD names is removed.
"""

import os
import select
import signal
from contextlib import closing
from pathlib import Path
from socket import socketpair

HOLD, PARENT = Path(os.environ.get("HOLD", "")), os.getppid()
replace = os.replace


def replace_and_hold(source, target, **options):
    try:
        held = os.fspath(target).endswith(HOLD.read_text())
    except FileNotFoundError:
        held = False
    if not held:
        return replace(source, target, **options)
    arrived, here = socketpair()
    here.setblocking(False)
    with closing(arrived), closing(here):
        before = signal.set_wakeup_fd(here.fileno())
        try:
            replace(source, target, **options)
            while HOLD.exists() and os.getppid() == PARENT:  # do not wait forever after a failed test
                if select.select([arrived], [], [], 0.01)[0]:
                    break
        finally:
            signal.set_wakeup_fd(before)


if "HOLD" in os.environ:
    os.replace = replace_and_hold
