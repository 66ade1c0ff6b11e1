"""The two pictures in a run's folder: training images as the network sees them, and the learning curves."""

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

backend = os.environ.pop("MPLBACKEND", None)  # a notebook's, perhaps not installed here; no backend is used
try:
    import matplotlib
    from matplotlib.figure import Figure
finally:
    if backend is not None:
        os.environ["MPLBACKEND"] = backend

ROWS, COLUMNS = 4, 8
ROW = 1.12  # a row's height in column widths: 0.2 for the class name, then an image of 0.92
CURVES = {"loss": ("cross entropy", 1), "acc": ("accuracy (%)", 100)}
PARTS = {  # Okabe and Ito's colours, which colour-blind readers can tell apart
    "train": ("training", "--", "#d55e00"),
    "val": ("validation", "-", "#0072b2"),
}


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw in matplotlib's default style, ignoring the user's matplotlibrc, and without warnings.

    Class names in a script that the font lacks would cause one warning per letter.
    """
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matplotlib.rcdefaults()
        yield


@plain_style()
def draw_samples(images: Tensor, labels: Tensor, classes: Sequence[str]) -> bytes:
    """Return a PNG of up to 32 uint8 images (n, height, width, channels), each with the name of its class.

    All images share one Axes: one Axes per image would take longer than an epoch of a small training.
    """
    figure = Figure(figsize=(COLUMNS * 1.1, ROWS * 1.3))
    axes = figure.add_axes((0, 0, 1, 0.95), xticks=[], yticks=[], frame_on=False)
    for place, (image, label) in enumerate(zip(images[: ROWS * COLUMNS].cpu(), labels.tolist())):
        row, column = divmod(place, COLUMNS)
        extent = (column + 0.04, column + 0.96, (row + 1) * ROW, row * ROW + 0.2)
        axes.imshow(image.squeeze(-1).numpy(), "gray", vmin=0, vmax=255, interpolation="nearest", extent=extent)
        axes.text(column + 0.5, row * ROW + 0.17, str(classes[label]), fontsize=8, ha="center")
    axes.set(xlim=(0, COLUMNS), ylim=(ROWS * ROW + 0.04, 0))
    figure.suptitle("Training images as the network sees them", fontsize=10)
    return as_png(figure)


@plain_style()
def draw_curves(rows: Sequence[dict[str, Any]], title: str) -> bytes:
    """Return a PNG of loss and accuracy by epoch: training dashed, validation solid."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    marker = "o" if len(rows) < 10 else None
    for axis, (metric, (label, scale)) in zip(figure.subplots(1, 2), CURVES.items()):
        for part, (name, style, color) in PARTS.items():
            points = [(row["epoch"], row[f"{part}_{metric}"]) for row in rows]
            points = [(epoch, scale * value) for epoch, value in points if value is not None]
            if points:
                axis.plot(*zip(*points), style, color=color, marker=marker, markersize=3, label=name)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_xlabel("epoch")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
        axis.legend()
    figure.suptitle(title, fontsize=10)
    return as_png(figure)


def as_png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
