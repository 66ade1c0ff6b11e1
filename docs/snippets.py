"""The contents of generated blocks in the documents: numbers from the reference runs, and the choices in conf/."""

import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import contrasts as designed
import pandas as pd
from power import table as power  # noqa: F401 - a snippet
from rates import as_table, tuning
from rates import table as rates_table

from analysis.claims.finding import DECIDED
from analysis.claims.numbers import say_mean
from analysis.frames.experiments import CONF, parts_of
from analysis.frames.inside.gradients import end_ratios, growth
from analysis.frames.runs import load_runs
from analysis.frames.settings import as_text
from analysis.frames.statistics import Difference, Estimate, estimate, welch
from analysis.frames.tables import load_epochs, load_layers
from resnet.config import Config, default_of

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "runs" / "reference"


@cache
def runs_of(study: str) -> pd.DataFrame:
    """Return the complete runs of a reference study, with a column for everything that a filter can name."""
    runs = load_runs([REFERENCE / study])
    runs = runs[runs["status"] == "complete"]
    return runs.assign(lr=[config["optimizer.lr"] for config in runs["config"]])


def selected(study: str, filters: Iterable[str]) -> pd.DataFrame:
    """Return the runs that have one of the given values in each column: `model=blocks3,blocks9`, `seed=0`."""
    runs = runs_of(study)
    for column, values in (part.split("=") for part in filters):
        runs = runs[runs[column].astype(str).isin(values.split(","))]
    if runs.empty:
        raise ValueError(f"{study} has no run with {' '.join(filters)}")
    return runs


def accuracy(study: str, *filters: str) -> str:
    """Return the mean test accuracy of runs in per cent, with its standard deviation if there are several."""
    found = estimate(100 * selected(study, filters)["test_acc"])
    return say_mean(found.mean, found.std)


def accuracies(study: str, measure: str, row: str, column: str, values: str, *labels: str) -> str:
    """Return a table of an accuracy: a row for each value of one column, a column for each of `values` of another.

    `labels` head the columns: one for the rows, then one for each of `values`. Rows are in ascending order. A cell with
    fewer runs than others gives their number.
    """
    runs, names = runs_of(study), values.split(",")
    kinds = runs[column].astype(str)
    shown = runs[kinds.isin(names)].groupby([row, kinds])[measure]
    cells = {cell: estimate(100 * accuracy) for cell, accuracy in shown}
    most = max(found.n for found in cells.values())

    def say_cell(found: Estimate | None) -> str:
        if found is None:
            return ""
        return say_mean(found.mean, found.std) + f" (n={found.n})" * (found.n < most)

    rows = ([str(head), *(say_cell(cells.get((head, name))) for name in names)] for head in sorted(runs[row].unique()))
    return as_table(labels, rows, text=())


def difference(study: str, a: str, b: str, template: str) -> str:
    """Return by how much runs `b` exceed runs `a` in test accuracy, in percentage points, with Welch's 95 % interval.

    `a` and `b` are filters joined by `;`. The template has {points}, {low} and {high} or, if it claims a difference,
    without signs, {rise} or {fall}, {least} and {most}.
    """
    return difference_between(study, a, study, b, template)


def difference_between(study_a: str, a: str, study_b: str, b: str, template: str) -> str:
    """Return what `difference` does, for runs of two studies."""
    sides = (selected(study, side.split(";"))["test_acc"] for study, side in ((study_a, a), (study_b, b)))
    return say(welch(*sides), template)


def say(found: Difference, template: str) -> str:
    """Return a difference in the words of a template; KeyError if it says {rise} or {fall} and the seeds do not."""
    words: dict[str, Any] = {"points": found.points, "low": found.low, "high": found.high}
    if found.verdict in DECIDED:
        words["rise" if found.verdict == "more" else "fall"] = abs(found.points)
        words["least"], words["most"] = sorted((abs(found.low), abs(found.high)))
    return template.format(**words)


def epochs_of(study: str, filters: Iterable[str], measure: str, first: int, last: int) -> pd.Series:
    """Return each selected run's mean of a column of metrics.csv over some epochs, both included."""
    epochs = load_epochs(selected(study, filters))
    return epochs[epochs["epoch"].between(first, last)].groupby("path")[measure].mean()


def at_epoch(study: str, epoch: str, measure: str, *filters: str) -> str:
    """Return the mean over runs of an accuracy after an epoch, in per cent."""
    return f"{100 * epochs_of(study, filters, measure, int(epoch), int(epoch)).mean():.1f}"


def over_epochs(study_a: str, a: str, study_b: str, b: str, first: str, last: str, measure: str, template: str) -> str:
    """Return by how much runs `b` exceed runs `a` in a column of metrics.csv, averaged over some epochs."""
    both = ((study_a, a), (study_b, b))
    sides = (epochs_of(study, side.split(";"), measure, int(first), int(last)) for study, side in both)
    return say(welch(*sides), template)


def gradient_ratios(studies: str, first: str, last: str, kind: str, *filters: str) -> str:
    """Return the range, over runs and some epochs, of the first layers' gradient norm divided by the last layers'.

    With `kind` scaled, each norm is multiplied by that of the layer's weights; otherwise it is raw.
    """
    ratios = 10 ** end_ratios(layers_of(studies, first, last, filters), kind == "scaled")
    return " to ".join(f"{ratios.agg(end):,.{0 if ratios.min() > 10 else 1}f}" for end in ("min", "max"))


def last_stage_growth(studies: str, first: str, last: str, *filters: str) -> str:
    """Return the range, over runs and some epochs, of the gradient's growth per layer within the last of three stages.

    The factor is that of the raw norm from a layer to the one before it.
    """
    layers = layers_of(studies, first, last, filters)
    factors = 10 ** growth(layers[layers["stage"] == 3])
    return f"{factors.min():.2f} to {factors.max():.2f}"


def layers_of(studies: str, first: str, last: str, filters: Iterable[str]) -> pd.DataFrame:
    """Return the layers of the selected runs of several studies in some epochs, both ends included."""
    layers = pd.concat([load_layers(selected(study, filters)) for study in studies.split(",")])
    layers = layers[layers["epoch"].between(int(first), int(last))]
    if layers.empty:
        raise ValueError(f"{studies}: nothing was measured in epochs {first} to {last}")
    return layers


def minutes(study: str, *filters: str) -> str:
    """Return how long runs take one after the other, in minutes, each counted with its configuration's median."""
    runs = selected(study, filters)
    per_run = runs.groupby("configuration")["wall_seconds"].transform("median")
    return f"{per_run.sum() / 60:,.0f}"


def hours(study: str, *filters: str) -> str:
    """Return how long runs take one after the other, in hours."""
    return f"{selected(study, filters)['wall_seconds'].sum() / 3600:.1f}"


@cache
def tuned() -> dict[Any, pd.DataFrame]:
    """Return the runs that choose the rates of the study of depth."""
    return tuning(REFERENCE)


@cache
def designed_runs() -> designed.Runs:
    """Return the runs that the contrasts of the study of depth are about."""
    return designed.runs_of(REFERENCE, tuned())


def contrasts() -> str:
    """Return the planned contrasts of the study of depth, as far as they are measured."""
    return designed.judged(designed_runs())


def contrast(number: str, verdict: str, template: str) -> str:
    """Return a planned contrast as `say` does, with an interval that spans both of its own.

    Contrasts are counted from 1. Raises ValueError if the verdict is another, so a sentence cannot outlive its result.
    """
    found = designed.decided(designed_runs(), int(number), verdict)
    low, high = found.span
    return say(replace(found, low=low, high=high), template)


def gains() -> str:
    """Return what the study of depth describes without a verdict, as far as it is measured."""
    return designed.described(designed_runs())


def by_seed() -> str:
    """Return the test accuracy of each run that the contrasts are about."""
    return designed.by_seed(designed_runs())


def rates() -> str:
    """Return the validation accuracies that choose the rates of the study of depth, and what they choose."""
    return rates_table(tuned())


def comment(path: Path) -> list[str]:
    """Return the lines of the comment at the top of a file of conf/, without the one that Hydra reads."""
    lines = path.read_text(encoding="utf-8").splitlines()
    top = takewhile(lambda line: line.startswith("#"), lines)
    return [line.removeprefix("#").removeprefix(" ") for line in top if "@package" not in line]


def cost(experiment: str, hour: str = " h", minute: str = " min") -> str:
    """Return the first number of hours or minutes in an experiment's Cost, with the words given for these."""
    (number, unit) = re.findall(r"(\d+(?: to \d+)?) (hour|minute)", parts_of(experiment)["Cost"])[0]
    return number.replace(" to ", "–" if hour.startswith(" ") else "~") + (hour if unit == "hour" else minute)


def options(group: str) -> list[Path]:
    """Return the files of a group of conf/, ordered by the numbers in their names."""
    numbered = lambda path: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.stem)]  # noqa: E731
    return sorted((CONF / group).glob("*.yaml"), key=numbered)


def choices(group: str) -> str:
    """Return the names of a group's choices."""
    return " ".join(f"`{path.stem}`" for path in options(group))


def described(group: str) -> str:
    """Return a table of a group's choices, with the comment at the top of each."""
    rows = ([f"`{group}={path.stem}`", " ".join(comment(path))] for path in options(group))
    return as_table(["choice", "what"], rows, text=range(2))


def experiments() -> str:
    """Return a section for each experiment: what the comment at the top of its file says, part by part."""
    sections = []
    for path in options("experiment"):
        lines = [f"- *{part}:* {text}" for part, text in parts_of(path.stem).items()]
        sections.append("\n".join([f"`experiment={path.stem}`", "", *lines]))
    return "\n\n".join(sections)


def keys(group: str = "") -> str:
    """Return a table of the keys of a group, or of the top-level ones: default, allowed values, meaning."""
    config = Config()
    owner, prefix = (getattr(config, group), f"{group}.") if group else (config, "")
    rows = [key_row(f"{prefix}{f.name}", f) for f in fields(owner) if not is_dataclass(getattr(owner, f.name))]
    return as_table(["key", "default", "values", "meaning"], rows, text=range(4))


def key_row(key: str, field: Any) -> list[str]:
    """Return a row about one key; a star marks a key that is not part of a run's identity."""
    star = "" if field.metadata.get("identity", True) else " \\*"
    default = as_text(default_of(field)) or "''"
    return [f"`{key}`{star}", f"`{default}`", values(field), MEANINGS[key]]


def values(field: Any) -> str:
    """Return which values a field allows."""
    if "choices" in field.metadata:
        return " ".join(f"`{choice}`" for choice in field.metadata["choices"])
    null = ", `null`" if "None" in str(field.type) else ""
    if "range" in field.metadata:
        low, high = field.metadata["range"]
        return ("each " if isinstance(default_of(field), list) else "") + f"{as_number(low)} to {as_number(high)}{null}"
    return f"`true` `false`{null}" if "bool" in str(field.type) else "text"


def as_number(value: float) -> str:
    """Return a bound of a range, a large one with thousands separators."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


MEANINGS: dict[str, str] = {
    "data.name": "the data set",
    "data.root": "the folder that holds it, or will; `RESNET_DATA` changes the default (not for `folder`)",
    "data.val_fraction": "share of the training images held out for validation, stratified by class; 0: train on all",
    "data.limit": "use only the first N training images of each class, held-out ones included, for trials",
    "data.size": "for `folder`: the side, in pixels, to which pictures are scaled",
    "data.grey": "for `folder`: one channel instead of three",
    "data.pictures": "computed: a digest of a folder's files, so that different pictures make a different run",
    "model.name": "the network's name in tables and paths; computed from the stages",
    "model.stages": "blocks in each stage",
    "model.width": "channels of the first stage; each later stage has twice as many, at half the resolution",
    "model.shortcut": "what carries a block's input to its output: the identity or, where the shape changes, a 1x1 "
    "convolution (`projection`) or padding with zero channels (`pad`); `none`: nothing, a plain network",
    "model.block": "the kind of block",
    "model.norm": "after each convolution: batch norm, or a bias and no norm",
    "model.zero_init": "start the scale of each block's last norm at 0, so that every block starts as its shortcut",
    "optimizer.name": "the algorithm",
    "optimizer.lr": "the highest learning rate of the training",
    "optimizer.weight_decay": "this times the weights is added to the gradient; `adamw` shrinks the weights directly",
    "optimizer.momentum": "for `sgd`",
    "optimizer.nesterov": "for `sgd`: Nesterov momentum",
    "schedule.name": "the learning rate over time",
    "schedule.milestones": "for `multistep`: where the rate drops, as fractions of the training, above 0 and below 1, "
    "ascending",
    "schedule.gamma": "for `multistep`: the factor by which it drops",
    "schedule.warmup": "fraction of the training, below 1, that is warm-up",
    "schedule.warmup_factor": "during warm-up, the rate is multiplied by this",
    "epochs.count": "epochs to train; takes precedence over steps",
    "epochs.steps": "optimizer steps to train, where `epochs.count=null`",
    "augmentation.flip": "mirror with probability 1/2",
    "augmentation.crop_padding": "shift by up to this many pixels each way, black outside",
    "augmentation.cutout": "side of a square set to the mean colour; 0: none",
    "augmentation.trivial": "one random operation per image (TrivialAugment)",
    "logger.name": "a tracker in addition to the run folder",
    "seed": "initial weights, order of the images, augmentation",
    "task": "train the network, or `inspect` it before its first step: [inspections](runs.md#look-inside)",
    "runs_dir": "the folder of all studies; `RESNET_RUNS` changes the default, for the analysis, too",
    "plan": "say what the command would do and about how long that takes, and write nothing",
    "study": "the folder under `runs_dir`: a name for runs that belong together",
    "batch_size": "images per step",
    "device": "`auto`: an NVIDIA GPU that this PyTorch can use, else the CPU; `mps`: Apple's GPU (never tested)",
    "precision": "`auto`: the faster one, [bf16 or fp32](speed.md#where-it-comes-from); `auto` and the one "
    "that it picks are different runs",
    "compile": "`torch.compile`; `null`: where it pays, in bf16 on a CPU from about 16 epochs of `blocks4` on CIFAR-10",
    "probe_every": "measure gradients and responses every N epochs; 0: never",
    "progress": "`auto`: a bar on a terminal",
    "resume": "`never`: archive what is there, and start over",
    "fail_fast": "stop a sweep at its first failing run",
}
