"""How far a sweep is, as reported by each of its runs.

The sweep lists its runs in a file, which an environment variable names: a worker on this machine inherits that, and so
does a Slurm job. How far each run is, and how long it took, is in its run directory. The list of a sweep that ends
before each of its runs has begun stays, so that a table can count those.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from resnet.config import from_plain
from resnet.duration import about
from resnet.launch.jobs import Job, part_left
from resnet.record.files import write_whole
from resnet.record.folder import RecordError, RunFolder

VARIABLE = "RESNET_SWEEP"


@contextmanager
def listed(jobs: Sequence[Job], at_once: int, root: Path) -> Iterator[None]:
    """List the runs of a sweep while it runs, for `place_in_sweep`; without a place to write, do without."""
    paths = [os.path.abspath(job.run.path) for job in jobs]
    configs = {os.path.dirname(path): asdict(job.config) for path, job in zip(paths, jobs)}
    content = json.dumps({"runs": paths, "configs": configs, "at_once": at_once}).encode()
    file = root / ".sweeps" / f"{hashlib.sha256(content).hexdigest()[:8]}.json"
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content)
        os.environ[VARIABLE] = os.path.abspath(file)
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)
        if not any(job.run.state() == "not started" and not job.reason for job in jobs):
            with suppress(OSError):
                file.unlink(missing_ok=True)
                file.parent.rmdir()  # where no other sweep is listed


def place_in_sweep(folder: RunFolder) -> str:
    """Return a run's place in its sweep, and about how long that still takes: `7 of 30 · about 24 h left`.

    Nothing for a run that is by itself; no time before a run of the sweep is complete.
    """
    own = os.path.abspath(folder.path)
    try:
        path = Path(os.environ[VARIABLE])
        sweep: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        began = path.stat().st_mtime_ns
    except (KeyError, OSError, ValueError):
        return ""
    if own not in sweep["runs"]:
        return ""
    place = f"{sweep['runs'].index(own) + 1} of {len(sweep['runs'])}"
    left = [seconds for seconds in seconds_left(sweep, began) if seconds is not None]
    return place + (f" · about {about(max(sum(left) / sweep['at_once'], max(left)))} left" if left else "")


def seconds_left(sweep: dict[str, Any], began: int) -> Iterator[float | None]:
    """Yield the seconds that each run still takes which has not ended in this sweep; None where nothing tells."""
    from resnet.launch.estimate import rate_of, work_of  # PyTorch takes seconds to import

    configs = {folder: from_plain(config) for folder, config in sweep["configs"].items()}
    rates: dict[str, tuple[int, float]] = {}
    to_do: list[tuple[str, RunFolder]] = []
    for run in map(RunFolder, map(Path, sweep["runs"])):
        folder, state = str(run.path.parent), run.state()
        if state == "complete" and folder not in rates:
            with suppress(RecordError, KeyError, ZeroDivisionError, OSError):
                result = run.result()
                rates[folder] = result["multiply_adds"], rate_of(result)
        if state not in ("complete", "diverged") and (run.ended_at() or 0) < began:
            to_do.append((folder, run))
    for folder, run in to_do:
        if not rates or folder not in configs:
            yield None
            continue
        work = work_of(configs[folder])
        rate = min(rates.values(), key=lambda rate: abs(math.log(rate[0] / work.multiply_adds)))[1]
        yield rate * work.total * part_left(run, configs[folder])
