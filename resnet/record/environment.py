"""Where a run is computed, and was before if it moved: by which code, on what machine, with which packages."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "torchvision", "hydra-core", "omegaconf", "numpy", "scikit-learn", "safetensors")

Origin = dict[str, dict[str, Any]]


def origin(device: torch.device) -> Origin:
    """Return by which code, on what machine, and with which packages this process computes."""
    return {"git": git_state(), "machine": machine(device), "versions": versions()}


def origins_before(checkpoint: dict[str, Any], here: Origin) -> list[dict[str, Any]]:
    """Return the origins of a checkpoint's epochs up to its last that is not `here`, each with its last epoch."""
    before = checkpoint.get("origin", here)  # older ones do not say
    return checkpoint.get("earlier", []) + [before | {"to_epoch": checkpoint["epoch"]}] * (before != here)


def changes(before: Origin, here: Origin) -> str:
    """Return in what two origins differ, as `threads 2, now 1`."""
    places = [(part, name) for part in here for name in before[part] | here[part]]
    values = [(name, before[part].get(name), here[part].get(name)) for part, name in places]
    return "; ".join(f"{name} {old}, now {new}" for name, old, new in values if old != new)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result depends on."""
    return {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}


def machine(device: torch.device) -> dict[str, Any]:
    """Return what kind of machine this is; it has no name in it."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
    }


def git_state() -> dict[str, Any]:
    """Return the commit of the checkout that this code runs from, and whether its code was changed since.

    Nothing where there is no checkout, as in an installed wheel.
    """
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return {}

    def git(*arguments: str) -> str:
        done = subprocess.run(("git", *arguments), cwd=folder, capture_output=True, text=True, check=True)
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
