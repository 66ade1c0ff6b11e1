"""What a finished run says about itself: the content of result.json."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from resnet.training.data import Dataset
from resnet.training.loop import Trainer
from resnet.training.model import cost, depth


def make_result(
    config: dict[str, Any],
    rows: Sequence[dict[str, Any]],
    data: Dataset,
    trainer: Trainer,
    conditions: dict[str, Any],
    origin: dict[str, Any],
) -> dict[str, Any]:
    """Evaluate the final network on the test set, and return all that a reader of the run may ask for.

    `rows` are those of metrics.csv, `conditions` say how they were computed, `origin` by what. The final figures
    are the last epoch's; the best is chosen on validation data.
    """
    network = {key: config["model"][key] for key in ("stages", "width", "shortcut")}
    network_cost = cost(**network, classes=len(data.classes), channels=data.channels, size=data.size)
    figures, logits = trainer.evaluate(data.test)
    best = max((row for row in rows if row["val_acc"] is not None), key=lambda row: row["val_acc"], default=None)
    return {
        "status": "complete",
        "model": config["model"]["name"],
        **network,
        "blocks": sum(network["stages"]),
        "depth": depth(network["stages"]),
        "parameters": network_cost.parameters,
        "multiply_adds": network_cost.multiply_adds,
        "seed": config["seed"],
        "epochs": len(rows),
        "final": {key: rows[-1][key] for key in ("epoch", "train_loss", "train_acc", "val_loss", "val_acc")},
        "best": {key: best[key] for key in ("epoch", "val_loss", "val_acc")} if best else None,
        "test": {"loss": figures.loss, "acc": figures.accuracy, "images": len(data.test)}
        | by_class(logits.argmax(dim=1), data.test.labels.cpu(), data.classes),
        **conditions,
        "device": data.mean.device.type,
        "wall_seconds": round(sum(row["train_seconds"] + row["val_seconds"] for row in rows), 1),
        **origin,
        "data": {
            "name": data.name,
            "sha256": data.sha256(),
            "train_images": len(data.train),
            "val_images": len(data.val) if data.val is not None else 0,
            "size": data.size,
            "mean": data.mean.tolist(),
            "std": data.std.tolist(),
        },
    }


def by_class(predicted: Tensor, labels: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """Return the accuracy of each class, and the confusion matrix: rows are true classes, columns predicted ones."""
    n = len(classes)
    confusion = torch.bincount(labels * n + predicted, minlength=n * n).view(n, n)
    accuracy = confusion.diagonal().double() / confusion.sum(dim=1)
    return {"per_class_acc": dict(zip(classes, accuracy.tolist())), "confusion": confusion.tolist()}
