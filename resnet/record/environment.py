"""What a run is computed with: the code, the machine, the packages."""

import ast
import hashlib
import os
import platform
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the sweep asks for the code's checksum without PyTorch, which takes seconds to import
    import torch

TRAINING_CODE = Path(__file__).resolve().parents[1] / "training"
PACKAGES = ("torch", "torchvision", "hydra-core", "omegaconf", "numpy", "scikit-learn", "safetensors")

# Git sets these for the processes it starts, such as hooks; they may point to a different repository.
OTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")


def environment(device: "torch.device") -> dict[str, Any]:
    """Return the code, machine and packages that this process computes with."""
    return {**program(), "machine": machine(device), "versions": versions()}


@cache
def program() -> dict[str, Any]:
    """Return the code's checksum and git state, read once per process: later edits do not affect imported code."""
    return {"code": code_checksum(), "git": git_state()}


def code_checksum(folder: Path = TRAINING_CODE) -> str:
    """Return a checksum of the training code's syntax trees: comments and layout do not count."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode())
        digest.update(repr(_tree(ast.parse(path.read_bytes()))).encode())
    return digest.hexdigest()


def _tree(node: Any) -> Any:
    """Return a syntax tree as tuples, without docstrings and without empty fields (Python versions differ in them)."""
    if isinstance(node, list):
        return [_tree(item) for item in node if not _is_docstring(item)]
    if isinstance(node, ast.AST):
        return type(node).__name__, [(k, _tree(v)) for k, v in ast.iter_fields(node) if v not in (None, [])]
    return node


def _is_docstring(node: Any) -> bool:
    """Return whether a statement is an unused string, such as a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result depends on, including Triton if installed."""
    found = {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}
    with suppress(PackageNotFoundError):
        found["triton"] = version("triton")
    return found


def machine(device: "torch.device") -> dict[str, Any]:
    """Return what kind of machine this is, without its name."""
    import torch

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    } | gpu(device)


def gpu(device: "torch.device") -> dict[str, Any]:
    """Return the GPU that computes, if any, with its driver, its libraries and the PyTorch build."""
    import torch

    from resnet.training.gpus import driver_version

    if device.type != "cuda":
        return {"gpu": "Apple" if device.type == "mps" else None}
    return {
        "gpu": torch.cuda.get_device_name(device),
        "driver": driver_version(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "torch": torch.__version__,  # with the build tag, such as +cu130
    }


def git_state() -> dict[str, Any]:
    """Return the commit of the checkout that this code runs from, and whether its code has changed since.

    Empty if there is no checkout, as in an installed wheel.
    """
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return {}

    def git(*arguments: str) -> str:
        # accept a checkout that another user owns, but never run an fsmonitor that it configures
        own = ("git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false")
        without = {name: value for name, value in os.environ.items() if name not in OTHER_REPOSITORY}
        done = subprocess.run((*own, *arguments), cwd=folder, env=without, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changes = git("status", "--porcelain", "--", "resnet", "conf")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changes)}
    except (OSError, subprocess.CalledProcessError):  # no git, or nothing committed yet
        return {}


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or sys.platform
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
