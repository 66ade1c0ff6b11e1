"""Submitting runs as job arrays, with submitit."""

import logging
import math
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.types import HydraContext
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from omegaconf import OmegaConf

from resnet.launch.slurm.job import RunJob
from resnet.launch.slurm.queue import SlurmError, call, write_elements

log = logging.getLogger(__name__)


def submit(
    composed: Mapping[Path, bytes], params: Mapping[str, Any], sweep_dir: Path, context: HydraContext
) -> dict[Path, str]:
    """Submit pickled configurations as an array of jobs; return each run folder's job id.

    Uses several arrays if the cluster does not allow one so large; they share `array_parallelism`.
    """
    run_job = RunJob(params["timeout_min"], params["signal_delay_s"], params["max_num_timeout"], context)
    longest = max_array_size()
    folders, submitted = list(composed), {}
    parts = [folders[start : start + longest] for start in range(0, len(folders), longest)]
    for part in parts:
        name = write_elements(sweep_dir, params["name"], part)
        executor = make_executor(params, name, math.ceil(params["array_parallelism"] / len(parts)))
        try:
            jobs = executor.map_array(run_job, list(map(str, part)), [composed[folder] for folder in part])
        except Exception as error:  # submitit's own, a page of text with sbatch's message in the middle
            messages = re.findall(r"sbatch: error: (.+)", str(error))
            refused = f"sbatch: {'; '.join(messages)}" if messages else f"not submitted, {' '.join(str(error).split())}"
            raise SlurmError(refused) from None
        log.info(f"Slurm: submitted {len(part)} jobs as array {jobs[0].job_id.split('_')[0]}")
        submitted |= {folder: job.job_id for folder, job in zip(part, jobs)}
    return submitted


def max_array_size() -> int:
    """Return how many elements the cluster allows in an array."""
    match = re.search(r"MaxArraySize\s*=\s*(\d+)", call("scontrol", "show", "config"))
    return int(match[1]) if match else 1001  # Slurm's default


def make_executor(params: Mapping[str, Any], name: str, parallelism: int) -> Any:
    """Return submitit's executor, set up with the launcher's keys under submitit's names for them."""
    import submitit

    own = {key: value for key, value in params.items() if key not in ("submitit_folder", "max_num_timeout")}
    threads = params["cpus_per_task"] or 1
    # Since Slurm 22.05, srun gives a job step one core unless SRUN_CPUS_PER_TASK is set.
    setup = [f"export OMP_NUM_THREADS={threads} SRUN_CPUS_PER_TASK={threads}", *(params["setup"] or [])]
    own |= {"name": name, "array_parallelism": parallelism, "setup": setup}
    # A signal before Python has handlers would kill the job; if it is ignored, Slurm sends another or requeues the job.
    python = f"""sh -c 'trap "" TERM USR2; exec "$0" "$@"' {shlex.quote(sys.executable)}"""
    executor = submitit.AutoExecutor(params["submitit_folder"], cluster="slurm", slurm_python=python)
    general = set(OmegaConf.structured(BaseQueueConf))
    executor.update_parameters(**{key if key in general else f"slurm_{key}": value for key, value in own.items()})
    return executor
