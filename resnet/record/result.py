"""The results of a finished run: the content of result.json, and its predictions on the test set."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resnet.training.data import Dataset
from resnet.training.model import Network
from resnet.training.trainer import Metrics


def make_result(
    model: str,
    network: Network,
    seed: int,
    rows: Sequence[dict[str, Any]],
    data: Dataset,
    data_sha256: str,
    metrics: Metrics,
    predicted: Tensor,
) -> dict[str, Any]:
    """Return a run's result from the `rows` of metrics.csv and the test set's `metrics` and `predicted` classes (n,).

    `final` is the last epoch, `best` the one with the best validation accuracy.
    """
    cost = network.cost(data.size)
    best = max((row for row in rows if row["val_acc"] is not None), key=lambda row: row["val_acc"], default=None)
    return {
        "status": "complete",
        "model": model,
        "network": network.as_dict(),
        "blocks": sum(network.stages),
        "depth": network.depth,
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "seed": seed,
        "epochs": len(rows),
        "final": {key: rows[-1][key] for key in ("epoch", "train_loss", "train_acc", "val_loss", "val_acc")},
        "best": {key: best[key] for key in ("epoch", "val_loss", "val_acc")} if best else None,
        "test": {"loss": metrics.loss, "acc": metrics.accuracy, "images": len(data.test)}
        | by_class(predicted, data.test.labels.cpu(), data.classes),
        "wall_seconds": round(sum(row["train_seconds"] + row["val_seconds"] for row in rows), 3),
        "data": {
            "name": data.name,
            "sha256": data_sha256,
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


def predictions(predicted: Tensor, labels: Tensor, classes: int) -> bytes:
    """Return predictions.npy: the true and predicted class of each test image, (2, n); uint8 for up to 256 classes."""
    buffer = io.BytesIO()
    np.save(buffer, torch.stack([labels.cpu(), predicted]).numpy().astype(np.min_scalar_type(classes - 1)))
    return buffer.getvalue()
