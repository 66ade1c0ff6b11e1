"""What this machine is and can do."""

import atexit
import ctypes
import gc
import getpass
import logging
import os
import re
import shutil
import tempfile
from pathlib import Path

import torch
from joblib import cpu_count

from resnet.errors import ConfigError
from resnet.training.gpus import choose_gpu, usable_gpus

log = logging.getLogger(__name__)

UNSAFE = r'[\\/:*?"<>|]'  # characters that PyTorch replaces in a folder's name
CPUINFO = Path("/proc/cpuinfo")  # on Linux
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # from malloc.h

PAYS_FROM = 5e13  # multiply-adds of forward passes (16 epochs of CIFAR-10 with blocks4) from which compiling pays off


def resolve_device(device: str, in_parallel: bool = False) -> torch.device:
    """Return the device for `auto`, `cpu`, `cuda` or `mps`; raises ConfigError if there is no such device.

    `auto` is a GPU that works or, without one, the CPU. With several GPUs, a parallel run gets its own as long as one
    is free. `mps` (Apple) was written from PyTorch's documentation and has never been run.
    """
    if device == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device=mps: PyTorch finds no Apple GPU here; use device=cpu or device=auto")
    return torch.device(device) if device in ("cpu", "mps") else choose_gpu(device, in_parallel)


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return `fp32` or `bf16`; `auto` is the faster of the two.

    Raises ConfigError for bf16 if the device does not compute it natively: emulated, it is several times slower.
    """
    native = has_native_bf16(device)
    if precision == "bf16" and not native:
        raise ConfigError(f"precision=bf16: this {device.type} has no native bf16; use precision=fp32 or auto")
    if precision != "auto":
        return precision
    return "bf16" if native and not (device.type == "cpu" and _is_slow_in_bf16()) else "fp32"


def has_native_bf16(device: torch.device) -> bool:
    """Return whether matrix multiplications in bf16 run in hardware."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and not {"avx512_bf16", "amx_bf16"}.isdisjoint(_cpu_words())


def _is_slow_in_bf16() -> bool:
    """Return whether a CPU with native bf16 multiplies faster in fp32: Intel CPUs since AMX, if AMX is hidden."""
    words = _cpu_words()
    return {"GenuineIntel", "avx512_fp16"} <= words and "amx_bf16" not in words


def _cpu_words() -> set[str]:
    """Return the words of /proc/cpuinfo, including vendor and flags; empty outside Linux."""
    try:
        return set(CPUINFO.read_text(encoding="utf-8").split())
    except OSError:
        return set()


def memory_format_of(device: torch.device) -> torch.memory_format:
    """Return the memory format in which convolutions are fastest.

    That is channels_last, except on a GPU without native bf16.
    """
    if device.type == "cpu" or has_native_bf16(device):
        return torch.channels_last
    return torch.contiguous_format


def resolve_compile(wanted: bool | None, device: torch.device, bf16: bool, multiply_adds: float) -> bool:
    """Return whether to compile the network; None compiles if that pays off for this many multiply-adds.

    Measured from blocks4 to 56 layers, it pays off in bf16 on a CPU; no GPU was available. Raises ConfigError on Apple
    GPUs, which lack the float64 that compiled code is checked against.
    """
    if wanted and device.type == "mps":
        raise ConfigError("compile=true: does not work on device=mps; leave it out")
    pays = device.type == "cpu" and bf16 and multiply_adds >= PAYS_FROM
    return pays if wanted is None else wanted


def runs_at_once(device: str = "auto") -> int:
    """Return how many runs this machine can run in parallel: one per GPU or, without any, one per core."""
    gpus = 0 if device in ("cpu", "mps") else len(usable_gpus()[0])
    return gpus or cpu_count()


def set_thread_count() -> None:
    """Use OMP_NUM_THREADS threads or, if it is not set, one per CPU that this process may use.

    PyTorch's own count ignores a container's CPU quota. joblib's workers limit MKL separately from OMP_NUM_THREADS.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        torch.set_num_threads(int(given))
    else:
        torch.set_num_threads(min(torch.get_num_threads(), cpu_count()))


def provide_cache_folder() -> None:
    """Give PyTorch a writable folder for compiled code: it creates one with the first optimizer, compiled or not.

    Its default is named after the user, whom a container may not know, and may be in a place that is not writable.
    """
    try:
        name = f"torchinductor_{re.sub(UNSAFE, '_', getpass.getuser())}"
    except (KeyError, ModuleNotFoundError, OSError):
        name = f"torchinductor_uid_{os.getuid()}"
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(tempfile.gettempdir(), name))
    folder = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or os.path.join(tempfile.gettempdir(), name)
    try:
        os.makedirs(folder, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except OSError:
        usable = False
    if not usable:
        replacement = tempfile.mkdtemp(prefix="torchinductor_")
        atexit.register(shutil.rmtree, replacement, ignore_errors=True)
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = replacement
        log.warning(f"{folder}: cannot be written to; what PyTorch compiles is kept elsewhere, for this run only")


def set_up_process() -> None:
    """Prepare the process to train reproducibly, with as many threads as it is given, near the machine's top speed."""
    provide_cache_folder()
    be_reproducible()
    set_thread_count()
    keep_freed_memory()


def be_reproducible() -> None:
    """Make a GPU compute the same bytes each time, and fp32 in full fp32 precision, as a CPU does."""
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # PyTorch's convolutions would round to 10 bits; its matrix products do not


def keep_freed_memory() -> None:
    """Make the C library keep the memory of freed tensors for the next ones, instead of returning it to the system.

    Each step frees and allocates the same few hundred megabytes; mapping and zeroing them every time costs a CPU a
    tenth to a fifth of the training time. Memory left over from an earlier run in the same process is returned. Does
    nothing if the C library is not glibc.
    """
    gc.collect()  # a failed run may have left all its objects in a reference cycle
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt") and hasattr(library, "malloc_trim"):
        for parameter, value in ((M_TRIM_THRESHOLD, 2**31 - 1), (M_MMAP_MAX, 0)):
            library.mallopt(parameter, value)
        library.malloc_trim(0)
