"""How far a sweep has got, as each of its runs reports it.

The sweep lists its runs in a file and names the file in an environment variable, which workers on this machine and
Slurm jobs inherit. How far each run has got, and how long it took, is in its run folder. If a sweep ends before all of
its runs have started, its list stays, so that a table can count the rest.
"""

import hashlib
import json
import math
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from resnet.config import Config, from_plain, run_name
from resnet.duration import about
from resnet.errors import ConfigError
from resnet.launch.jobs import Job, part_left
from resnet.locks import lock
from resnet.record.files import write_whole
from resnet.record.folder import RecordError, RunFolder

VARIABLE = "RESNET_SWEEP"
SAMPLE, RECENT = 100, 20  # how many runs a run of the sweep looks at: among all, and right before it


@contextmanager
def listed(jobs: Sequence[Job], at_once: int, root: Path) -> Iterator[None]:
    """List the runs of a sweep while it runs, for `place_in_sweep`; do without a list that cannot be written.

    Afterwards, delete every list whose runs have all started: this one, and those of sweeps that were stopped.
    """
    paths = [os.path.abspath(job.run.path) for job in jobs]
    names = [run_name(job.config) for job in jobs]
    configs = {name: asdict(job.config) for name, job in zip(names, jobs)}
    content = json.dumps({"runs": paths, "names": names, "configs": configs, "at_once": at_once}).encode()
    file = root / ".sweeps" / f"{hashlib.sha256(content).hexdigest()[:8]}.json"
    os.environ.pop(VARIABLE, None)  # set by a sweep that this one is part of
    listing = None
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content)
        os.environ[VARIABLE] = os.path.abspath(file)
        listing = open(file, "r+", encoding="utf-8")
        lock(listing.fileno())  # while this sweep lives, no other one deletes its list
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)
        if listing:
            listing.close()
        drop_begun(file.parent, {path for path, job in zip(paths, jobs) if job.reason})


def drop_begun(lists: Path, refused: set[str]) -> None:
    """Delete the lists of ended sweeps whose runs have all started or were refused."""
    for file in lists.glob("*.json"):
        # in use by its sweep, from another version, or not a list
        with suppress(OSError, ValueError, KeyError, TypeError), open(file, "r+", encoding="utf-8") as listing:
            lock(listing.fileno())
            runs = set(json.load(listing)["runs"]) - refused
            if all(RunFolder(Path(run)).begun_at() for run in runs):  # a job that died early left only failure.json
                file.unlink()
    with suppress(OSError):
        lists.rmdir()  # if no sweep is listed


def place_in_sweep(folder: RunFolder, config: Config) -> str:
    """Return a run's place in its sweep, and about how long the sweep still takes: `7 of 30 · about 24 h left`.

    Empty for a run outside a sweep; without a time until a run of the sweep is complete. Raises ConfigError for a
    configuration that the sweep did not plan, which can happen because Hydra reads the files again for each run.
    """
    try:
        path = Path(os.environ[VARIABLE])
        sweep: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        planned = run_name(config) in sweep["names"]
        place = sweep["runs"].index(os.path.abspath(folder.path)) if planned else 0
        left = seconds_left(sweep, place, path.stat().st_mtime_ns) if planned else 0.0
    except Exception:  # no sweep, one that does not list this run, or one of another version: the run goes on
        return ""
    if not planned:
        raise ConfigError(
            f"this sweep did not plan {run_name(config)}: a file of conf/, or the pictures of data=folder, have "
            "changed since it began; repeat the command"
        )
    return f"{place + 1} of {len(sweep['runs'])}" + (f" · about {about(left)} left" if left else "")


def seconds_left(sweep: dict[str, Any], place: int, began: int) -> float:
    """Return about how many seconds a sweep still takes, for a large one from a sample of its runs; 0 if unknown.

    `place` is that of the run that asks: the runs right before it show how long runs take.
    """
    from resnet.launch.estimate import work_of  # PyTorch takes seconds to import

    runs = [(name, RunFolder(Path(path))) for name, path in zip(sweep["names"], sweep["runs"])]
    sample = random.Random(place).sample(runs, min(SAMPLE, len(runs)))
    rates = rates_of([*runs[max(place - RECENT, 0) : place], *sample], sweep["configs"])
    left = [0.0]
    for name, run in sample:
        ended, again = run.state() in ("complete", "diverged"), sweep["configs"][name]["resume"] == "never"
        if rates and (again or not ended) and (run.ended_at() or 0) < began:
            config = from_plain(sweep["configs"][name])
            work = work_of(config)
            rate = min(rates, key=lambda rate: abs(math.log(rate[0] / work.multiply_adds)))[1]
            left.append(rate * work.total * (1.0 if ended else part_left(run, config)))
    return max(sum(left) * len(runs) / len(sample) / sweep["at_once"], *left)


def rates_of(runs: Sequence[tuple[str, RunFolder]], configs: Mapping[str, Any]) -> list[tuple[int, float]]:
    """Return the multiply-adds per image and the seconds per multiply-add of each configuration with a complete run."""
    from resnet.launch.estimate import work_of  # PyTorch takes seconds to import

    rates: dict[str, tuple[int, float]] = {}
    for name, run in runs:
        if name not in rates and run.state() == "complete":
            with suppress(RecordError, KeyError, TypeError, ZeroDivisionError, OSError):
                work = work_of(from_plain(configs[name]))
                rates[name] = work.multiply_adds, run.result()["wall_seconds"] / work.total
    return list(rates.values())
