"""Optimizer and learning-rate schedule from plain values.

A schedule is a function of the step alone: there is no state to save or restore, and no warm-up rate that someone must
remember to raise.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import Parameter

Schedule = Callable[[int], float]

ONECYCLE_START, ONECYCLE_END, ONECYCLE_RISE = 1 / 25, 1 / 250_000, 0.3  # PyTorch's OneCycleLR


def make_optimizer(
    parameters: Iterable[Parameter], name: str, lr: float, weight_decay: float, momentum: float, nesterov: bool
) -> torch.optim.Optimizer:
    """Return `adam`, `adamw` or `sgd` over the parameters, with each step fused into one kernel."""
    if name == "sgd":
        return torch.optim.SGD(
            parameters, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, fused=True
        )
    optimizer = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    return optimizer(parameters, lr=lr, weight_decay=weight_decay, fused=True)


def make_schedule(
    name: str,
    lr: float,
    total_steps: int,
    milestones: Sequence[float] = (),
    gamma: float = 0.1,
    warmup: float = 0.0,
    warmup_factor: float = 0.1,
) -> Schedule:
    """Return the learning rate as a function of the step, 0 to `total_steps` - 1.

    `constant`, `multistep` (multiplied by `gamma` at each of `milestones`), `cosine` (to 0 at `total_steps`, Loshchilov
    and Hutter 2017, equation 5) or `onecycle` (Smith and Topin 2018). During `warmup` that rate is multiplied by
    `warmup_factor` (He et al. 2016, section 4.2, for 110 layers). Milestones and warm-up are fractions of the training.
    """
    shapes: dict[str, Callable[[float], float]] = {
        "constant": lambda progress: 1.0,
        "multistep": lambda progress: gamma ** bisect_right(milestones, progress),
        "cosine": lambda progress: _cosine(1.0, 0.0, progress),
        "onecycle": _onecycle,
    }
    shape = shapes[name]

    def rate(step: int) -> float:
        progress = step / total_steps
        return lr * shape(progress) * (warmup_factor if progress < warmup else 1.0)

    return rate


def rates_agree(one: Mapping[str, Any], other: Mapping[str, Any], steps: int) -> bool:
    """Return whether two schedules (`make_schedule`'s arguments) give the same rates in the first `steps` steps."""
    first, second = make_schedule(**one), make_schedule(**other)
    return all(first(step) == second(step) for step in range(steps))


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def _cosine(start: float, end: float, progress: float) -> float:
    """Go from start to end along half a cosine while progress goes from 0 to 1."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def _onecycle(progress: float) -> float:
    """Rise to 1 over the first part of the training, fall to almost nothing over the rest."""
    if progress < ONECYCLE_RISE:
        return _cosine(ONECYCLE_START, 1.0, progress / ONECYCLE_RISE)
    return _cosine(1.0, ONECYCLE_END, (progress - ONECYCLE_RISE) / (1 - ONECYCLE_RISE))
