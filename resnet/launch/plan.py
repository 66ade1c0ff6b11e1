"""What a command would do, and how long that would take: `plan=true`, which writes nothing."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from resnet.config import Config, total_steps
from resnet.duration import about
from resnet.errors import ConfigError
from resnet.launch.columns import layout
from resnet.launch.jobs import Job, axes_of, by_configuration, last_epoch, name_of, part_left, sizes_of, steps_per_epoch
from resnet.record.folder import CHECKPOINT, RunFolder
from resnet.record.trackers import Tracker

log = logging.getLogger(__name__)


def print_plan(jobs: Sequence[Job], root: Path, at_once: int, elsewhere: bool) -> None:
    """Log a line per configuration: its varied values, how far it has got, its size, and how long it takes here.

    `at_once` runs compute in parallel; `elsewhere` says that they do so on a cluster.
    """
    from resnet.launch.estimate import Estimator, threads_of, work_of  # PyTorch takes seconds to import
    from resnet.training.device import set_up_process

    set_up_process()
    estimator = Estimator(root, threads_of(1 if elsewhere else at_once))
    groups, axes = by_configuration(jobs), axes_of(jobs)
    standings = Counter(job.standing().partition(" at ")[0] for job in jobs)
    runs = f"{len(jobs)} run{'s' * (len(jobs) != 1)} of {len(groups)} configuration{'s' * (len(groups) != 1)}"
    log.info(f"{runs}: {', '.join(f'{n} {standing}' for standing, n in standings.items())}\n")
    rows = [[*(axes or ["configuration"]), "runs", "parameters", "mult-adds", "each", "left"]]
    all_left: list[float] = []
    for seeds in groups.values():
        config = seeds[0].config
        if not all(job.complete for job in seeds):
            check_config(config)
        work = work_of(config)
        cost = work.network.cost(work.size)
        seconds = estimator.seconds(config)
        left = [] if seconds is None else [part for job in seeds if (part := seconds * share_left(job))]
        all_left += left
        times = ["-" if seconds is None else about(seconds), about(sum(left)) if left else "-"]
        row = [*name_of(seeds[0], axes), tally(seeds), f"{cost.parameters:,}", f"{cost.multiply_adds / 1e6:.1f} M"]
        rows.append(row + times)
    for line in layout(rows, left=len(rows[0]) - 4):
        log.info(line)
    measured = sum(job.config.task == "inspect" and not job.complete for job in jobs)
    log.info("\n" + sentence(all_left, measured, at_once, elsewhere, estimator.by_runs, estimator.by_steps))


def check_config(config: Config) -> None:
    """Check that the tracker is installed, and the sizes of the data, unread; raises ConfigError, as a run would."""
    from resnet.prepare import check_batches  # PyTorch takes seconds to import

    facts, train, held_out = sizes_of(config)
    if held_out and min(train, held_out) < facts.classes:
        raise ConfigError(
            f"data.val_fraction={config.data.val_fraction}: {train + held_out} images of {facts.classes} classes "
            "are too few to split"
        )
    if config.task == "train":
        check_batches(config, train, facts.size)
        Tracker(config.logger.name, Path())


def tally(seeds: Sequence[Job]) -> str:
    """Return how far the seeds of a configuration have got: `2 complete, 1 stopped at 7/20`."""
    return ", ".join(f"{n} {standing}" for standing, n in Counter(job.standing() for job in seeds).items())


def share_left(job: Job) -> float:
    """Return the fraction of a run still to be computed, not counting epochs that it would take from a shorter one."""
    if job.refused:
        return 0.0
    if job.config.resume == "never":
        return 1.0
    if job.run.state() == "not started":
        return 1 - epochs_of_shorter(job.run, job.config) / last_epoch(job.config)
    return part_left(job.run, job.config)


def epochs_of_shorter(run: RunFolder, config: Config) -> int:
    """Return how many epochs a run would take over from a finished, shorter run on the same data: see `shorter`."""
    from resnet.launch.estimate import conditions_of, work_of  # PyTorch takes seconds to import
    from resnet.record.environment import environment
    from resnet.shorter import began_alike, but_for_epochs
    from resnet.training.device import resolve_device
    from resnet.training.optim import rates_agree

    finished = list(but_for_epochs(run, config))
    if not finished:  # as for most runs; reading the environment takes longer
        return 0
    each, schedule = steps_per_epoch(config), {"lr": config.optimizer.lr} | asdict(config.schedule)
    total, device = total_steps(config.epochs, each), resolve_device(config.device)
    alike = {key: value for key, value in environment(device).items() if key != "git"}
    precision, compiled = conditions_of(config, work_of(config), device)
    alike |= {"device": device.type, "precision": precision, "compiled": compiled}
    for shorter in finished:
        epochs = shorter.result()["epochs"]
        if began_alike(shorter, alike) and (shorter.path / CHECKPOINT).exists() and epochs * each < total:
            own, longer = ({**schedule, "total_steps": steps} for steps in (epochs * each, total))
            if rates_agree(own, longer, epochs * each):
                return epochs
    return 0


def sentence(left: Sequence[float], measured: int, at_once: int, elsewhere: bool, by_runs: int, by_steps: int) -> str:
    """Return how long everything left takes, and how that was estimated."""
    if not left:
        inspections = f"{measured} inspection{'s, which are' if measured > 1 else ', which is'} not timed"
        return "no training is left to do" + f", but {inspections}" * bool(measured)
    total = sum(left) if elsewhere else max(sum(left) / at_once, *left, 0)
    how = "on this machine, " + ("one run after the other" if at_once == 1 else f"{at_once} runs at once")
    if elsewhere:
        how = "of all jobs together, at the speed of this machine"
    sources = [f"{by_runs} from finished runs"] * bool(by_runs) + [f"{by_steps} from timed steps"] * bool(by_steps)
    return f"about {about(total)} left {how} (configurations estimated: {', '.join(sources)})"
