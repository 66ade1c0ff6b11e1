"""Made-up studies of the kinds people sweep, with known answers."""

import math
import random
from typing import Any

import numpy as np

DEPTHS = {"blocks3": [1, 1, 1], "blocks9": [3, 3, 3]}
DEEP = {"model.name": "blocks15", "model.stages": [5, 5, 5]}
PLAIN = {"model.shortcut": "none"}
RATES = (0.001, 0.01, 0.03, 0.1, 0.3)
SGD = {"optimizer.name": "sgd", "optimizer.momentum": 0.9, "optimizer.weight_decay": 1e-4, "optimizer.lr": 0.1}
MULTISTEP = SGD | {"batch_size": 128, "schedule.name": "multistep", "schedule.milestones": [0.5, 0.75]}
ADAM = {"optimizer.name": "adam", "optimizer.momentum": 0.0, "optimizer.weight_decay": 0.0, "optimizer.lr": 0.001}
AUGMENTATIONS = {
    "none": {"augmentation.flip": False, "augmentation.crop_padding": 0, "augmentation.cutout": 0},
    "flip_crop": {"augmentation.flip": True, "augmentation.crop_padding": 4, "augmentation.cutout": 0},
    "cutout": {"augmentation.flip": True, "augmentation.crop_padding": 4, "augmentation.cutout": 16},
}


def network(model: str, shortcut: str = "projection") -> dict[str, Any]:
    return {"model.name": model, "model.stages": DEPTHS[model], "model.width": 16, "model.shortcut": shortcut}


def layers(depth: int, shortcut: str = "projection") -> dict[str, Any]:
    """Return the settings of a network like those of He et al. 2016, by its number of layers."""
    network = {"model.name": f"resnet{depth}", "model.stages": [(depth - 2) // 6] * 3, "model.width": 16}
    return network | {"model.shortcut": shortcut}


def predict(run, right: np.ndarray) -> None:
    """Write a run's predictions, correct where `right` is true."""
    true = np.arange(len(right)) % 10
    np.save(run / "predictions.npy", np.stack([true, np.where(right, true, (true + 1) % 10)]).astype(np.uint8))


def rates(build, models=tuple(DEPTHS), lrs=RATES, seeds=(0, 1)) -> None:
    """Rates x depths x seeds: 0.03 is best for 8 layers, 0.1 for 20."""
    best = {"blocks3": 0.03, "blocks9": 0.1}
    for model in models:
        for lr in lrs:
            off = abs(RATES.index(lr) - RATES.index(best[model]))
            for seed in seeds:
                top, loss = {"blocks3": (0.70, 0.02), "blocks9": (0.75, 0.03)}[model]
                acc = top - loss * off + 0.002 * seed
                choices = {"model": model, "optimizer": "sgd"}
                settings = SGD | network(model) | {"optimizer.lr": lr, "epochs.count": 10}
                build.complete(seed, "rates", choices=choices, val=acc, test=acc - 0.01, **settings)


def recipes(build) -> None:
    """Epochs x augmentation x optimizer, 24 runs: sgd, 20 epochs and flip_crop win, except against cutout at 40."""
    for count in (5, 10, 20, 40):
        for place, (augmentation, keys) in enumerate(AUGMENTATIONS.items()):
            for name, optimizer in (("adam", ADAM), ("sgd", SGD)):
                gain = {5: 0, 10: 0.04, 20: 0.07, 40: 0.06}[count]
                gain += 0.02 * (place == 1) - 0.01 * (place == 2) + 0.015 * (name == "sgd")
                gain += 0.05 * (place == 2 and count == 40)
                choices = {"model": "blocks3", "optimizer": name, "augmentation": augmentation}
                settings = network("blocks3") | keys | optimizer | {"epochs.count": count}
                build.complete(0, "recipes", choices=choices, val=0.7 + gain, test=0.69 + gain, **settings)


def random_search(build, count: int = 200) -> None:
    """A random search over rate, decay, batch size and depth; the closer the rate is to 0.05, the better."""
    dice = random.Random(0)
    for _ in range(count):
        lr, decay = 10 ** dice.uniform(-4, 0), 10 ** dice.uniform(-6, -2)
        batch, model = dice.choice((64, 128, 256)), dice.choice(tuple(DEPTHS))
        acc = 0.8 - 0.1 * abs(1.3 + math.log10(lr)) + 0.02 * (model == "blocks9")
        choices = {"model": model, "optimizer": "sgd"}
        keys = {"optimizer.lr": round(lr, 6), "optimizer.weight_decay": round(decay, 8), "batch_size": batch}
        build.complete(0, "search", choices=choices, val=acc, test=acc - 0.01, **SGD | network(model) | keys)


def depth(build, seeds=(0, 1, 2)) -> None:
    """Depth x shortcut x seeds: residual networks gain from depth, plain ones lose."""
    for model in DEPTHS:
        for shortcut in ("projection", "none"):
            acc = 0.75 + {"projection": 0.05, "none": -0.10}[shortcut] * (model == "blocks9")
            for seed in seeds:
                choices = {"model": model, "optimizer": "adam"}
                figures = {"val": acc + 0.002 * seed, "test": acc + 0.003 * seed}
                build.complete(seed, "depth", choices=choices, **figures, **network(model, shortcut))


ONE_CYCLE = {"schedule.name": "onecycle", "batch_size": 128, "precision": "fp32", "compile": False}
ONE_THREAD = {"machine": {"threads": 1}}


def as_designed(depth: int, shortcut: str, lr: float, epochs: int, width: int = 16) -> dict[str, Any]:
    """Return the settings of a network in the depth study."""
    own = {"model.width": width, "optimizer.lr": lr, "epochs.count": epochs}
    return SGD | ONE_CYCLE | layers(depth, shortcut) | own


def tune(build, depth: int, shortcut: str, val: dict[float, float], width: int = 16, seed: int = 100, **more) -> None:
    """Write runs of one network at several rates, with the validation accuracy of each."""
    for lr, acc in val.items():
        run = build.complete(seed, "depth_rate", val=acc, **as_designed(depth, shortcut, lr, 10, width) | more)
        build.amend(run, **ONE_THREAD)
