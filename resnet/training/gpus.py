"""Choose a run's GPU: one that this PyTorch has kernels for and, among parallel runs, the one with the fewest runs.

Written from PyTorch's documentation and tested on simulated GPUs; tests/gpu/ is for real ones.
"""

import fcntl
import itertools
import logging
import os
import tempfile
from pathlib import Path

import torch

from resnet.errors import ConfigError

log = logging.getLogger(__name__)

DRIVER = Path("/proc/driver/nvidia")
slot: int | None = None  # the open file whose lock marks a GPU as used by this process


def choose_gpu(wanted: str, in_parallel: bool) -> torch.device:
    """Return the GPU for `auto` or `cuda`, made PyTorch's current one; the CPU if `auto` finds no usable one.

    It is the first usable one, so consecutive runs get the same; `in_parallel`, the first with the fewest runs on it.
    Raises ConfigError for `cuda` if no GPU is usable.
    """
    usable, reason = usable_gpus()
    if not usable:
        if wanted == "cuda":
            reason = reason or "PyTorch finds no GPU here"
            raise ConfigError(f"device=cuda: {reason}; use device=cpu or device=auto")
        if reason:
            log.warning(f"device=auto: the CPU, because {reason}")
        return torch.device("cpu")
    device = torch.device("cuda", take_slot(usable) if in_parallel else usable[0])
    torch.cuda.set_device(device)
    return device


def usable_gpus() -> tuple[list[int], str]:
    """Return the GPUs that this PyTorch can compute on and, if none of those present is usable, the reason."""
    if not torch.cuda.is_available():
        if torch.version.cuda is None or not any((DRIVER / "gpus").glob("*")):
            return [], ""
        return [], f"there is a GPU that PyTorch cannot use: {_why_not()}"
    kernels, found = torch.cuda.get_arch_list(), range(torch.cuda.device_count())
    usable = [gpu for gpu in found if has_kernels(torch.cuda.get_device_capability(gpu), kernels)]
    if usable:
        return usable, ""
    major, minor = torch.cuda.get_device_capability(0)
    what = f"{torch.cuda.get_device_name(0)} (compute capability {major}.{minor})"
    return [], f"this PyTorch has no kernels for the {what}, only for {' '.join(kernels)}"


def has_kernels(capability: tuple[int, int], kernels: list[str]) -> bool:
    """Return whether a GPU of this capability runs any of these kernels, named as in `get_arch_list`.

    Binary code (sm_80) runs on the same major version from its minor version up; architecture-specific code (sm_90a) on
    that version only; intermediate code (compute_80) on that version and newer. Non-NVIDIA GPUs are left to PyTorch.
    """
    if not all(kernel.startswith(("sm_", "compute_")) for kernel in kernels):
        return True
    major, minor = capability
    for kernel in kernels:
        kind, _, version = kernel.partition("_")
        own = version.endswith("a")
        at = int(version.rstrip("af")[:-1]), int(version.rstrip("af")[-1])
        binary = at == capability if own else at[0] == major and at[1] <= minor
        if binary or (kind == "compute" and not own and at <= capability):
            return True
    return not kernels


def take_slot(gpus: list[int]) -> int:
    """Return the first GPU with the fewest runs, and count this process as one until it ends or calls this again.

    A slot is a lock on a file named after the GPU's UUID, because other processes may number the GPUs differently.
    """
    global slot
    if slot is not None:
        os.close(slot)
        slot = None
    for number, gpu in itertools.product(range(1024), gpus):
        uuid = torch.cuda.get_device_properties(gpu).uuid
        path = os.path.join(tempfile.gettempdir(), f"resnet-gpu-{os.getuid()}-{uuid}-{number}")
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        except OSError:  # a file system without locks: other processes' GPUs are unknown
            os.close(descriptor)
            return gpus[os.getpid() % len(gpus)]
        else:
            slot = descriptor
            return gpu
    return gpus[0]


def _why_not() -> str:
    """Return PyTorch's reason for being unable to use a GPU."""
    try:
        torch.cuda.init()
    except Exception as error:
        return str(error).splitlines()[0]
    return "it does not say why"


def driver_version() -> str | None:
    """Return the version of NVIDIA's driver, or None without one."""
    try:
        words = (DRIVER / "version").read_text(encoding="utf-8").splitlines()[0].split()
    except (OSError, IndexError):
        return None
    return next((word for word in words if word[0].isdigit() and "." in word), None)
