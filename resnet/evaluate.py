"""Measure a finished run's network on its test set: accuracy and loss, class by class, and which classes it confuses.

    python -m resnet.evaluate runs/default/blocks4-projection-…/seed0

It uses the precision of the training and, if the run was trained on an NVIDIA GPU, such a GPU, where this machine has
them; otherwise fp32 and the CPU. On the same kind of machine, the figures equal those of result.json, which are printed
below them.
"""

import sys
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from resnet.command import RunParser
from resnet.errors import exit_on_error
from resnet.record.result import by_class
from resnet.record.trained import Trained, load_data, load_trained
from resnet.training.data import Split
from resnet.training.device import set_up_process
from resnet.training.trainer import Metrics, evaluate

MATRIX_CLASSES = 20  # with more, a confusion matrix is wider than a terminal
MOST_FREQUENT = 20  # confusions that are listed instead
COLUMN = 6


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = RunParser("resnet.evaluate", __doc__)
    parser.add_data_root()
    given = parser.parse_args(arguments)
    set_up_process()
    trained = load_trained(given.run)
    device, precision = trained.conditions()
    data, same = load_data(trained, given.data_root)
    metrics, logits = measure(trained, data.test, device, precision)
    print(headline(trained, data.test, metrics, f"{precision} on {device}"))
    if precision != trained.result["precision"]:
        print(f"Trained in {trained.result['precision']}, evaluated in {precision}: this {device} has no native bf16.")
    if not same:
        print("The data set here, or its split, is not what the run was trained on.")
    print()
    print(class_table(logits, data.test.labels, trained.classes))
    print()
    print(confusion_text(logits, data.test.labels, trained.classes))
    return 0


def measure(trained: Trained, test: Split, device: torch.device, precision: str) -> tuple[Metrics, Tensor]:
    """Return the metrics over a split, and the logits (n, classes) on the CPU, as at the end of a training."""
    return evaluate(*trained.on(device), test.to(device), bf16=precision == "bf16")


def headline(trained: Trained, test: Split, metrics: Metrics, here: str) -> str:
    """Return the metrics over the whole test set, above those that the run recorded."""
    result = trained.result
    rows = [
        ("here", metrics.accuracy, metrics.loss, here),
        ("result.json", result["test"]["acc"], result["test"]["loss"], f"{result['precision']} on {result['device']}"),
    ]
    title = f"{trained.path}: {len(test)} test images of {result['data']['name']}, {result['depth']} layers"
    lines = [f"{name:<12}{accuracy:>8.2%}  loss {loss:.6f}  {how}" for name, accuracy, loss, how in rows]
    return "\n".join([title, "", *lines])


def class_table(logits: Tensor, labels: Tensor, classes: Sequence[str]) -> str:
    """Return a line per class: its images, its accuracy, its mean loss."""
    losses = F.cross_entropy(logits.double(), labels, reduction="none")
    counts = labels.bincount(minlength=len(classes))
    means = (labels.bincount(losses, minlength=len(classes)) / counts).tolist()
    accuracies = by_class(logits.argmax(dim=1), labels, classes)["per_class_acc"]
    width = max(map(len, (*classes, "class")))
    lines = [
        f"{name:<{width}}{count:>8}{accuracies[name]:>10.2%}{loss:>10.4f}"
        for name, count, loss in zip(classes, counts.tolist(), means)
    ]
    return "\n".join([f"{'class':<{width}}{'images':>8}{'accuracy':>10}{'loss':>10}", *lines])


def confusion_text(logits: Tensor, labels: Tensor, classes: Sequence[str]) -> str:
    """Return the confusion matrix or, if it would not fit a terminal, its largest entries off the diagonal."""
    confusion = by_class(logits.argmax(dim=1), labels, classes)["confusion"]
    if len(classes) > MATRIX_CLASSES:
        return most_frequent(confusion, classes)
    width = max(map(len, classes))
    header = " " * width + "".join(f"{name[: COLUMN - 1]:>{COLUMN}}" for name in classes)
    rows = [
        f"{name:<{width}}" + "".join(f"{count or '.':>{COLUMN}}" for count in row)
        for name, row in zip(classes, confusion)
    ]
    return "\n".join(["images by class (rows) and by what they were taken for (columns)", header, *rows])


def most_frequent(confusion: list[list[int]], classes: Sequence[str]) -> str:
    """Return the most frequent confusions, a line each."""
    pairs = [
        (count, classes[true], classes[predicted])
        for true, row in enumerate(confusion)
        for predicted, count in enumerate(row)
        if true != predicted and count
    ]
    pairs.sort(key=lambda pair: -pair[0])
    lines = [f"{count:>5}  {true} taken for {predicted}" for count, true, predicted in pairs[:MOST_FREQUENT]]
    return "\n".join([f"the {len(lines)} most frequent of {len(pairs)} different mistakes", *lines])


if __name__ == "__main__":
    with exit_on_error():
        sys.exit(main())
