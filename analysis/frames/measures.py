"""The figures that are averaged over seeds, and how people read them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A figure's name in a table and in full, the factor it is multiplied by, and its decimals."""

    label: str
    long: str
    factor: float
    digits: int


MEASURES = {
    "train_loss": Measure("train loss", "training loss", 1, 4),
    "train_acc": Measure("train acc (%)", "training accuracy (%)", 100, 2),
    "val_loss": Measure("val loss", "validation loss", 1, 4),
    "val_acc": Measure("val acc (%)", "validation accuracy (%)", 100, 2),
    "test_acc": Measure("test acc (%)", "test accuracy (%)", 100, 2),
}
