"""Classify pictures of any size and kind with a finished run's network.

    python -m resnet.predict runs/default/blocks4-projection-…/seed0 cat.jpg ship.png --top 2

Pictures are rotated as their EXIF orientation says, and transparent parts become white. The largest centred square is
scaled to the size of the network's input. The data set is not needed. A picture that cannot be read is named on
standard error; the others are still classified, and the exit code is 1.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from resnet.command import RunParser
from resnet.errors import exit_on_error
from resnet.record.trained import Trained, load_trained
from resnet.training.pictures import PictureError, read_picture


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = RunParser("resnet.predict", __doc__)
    parser.add_argument(
        "images", metavar="IMAGE", nargs="+", type=Path, help="a picture in any format that Pillow reads"
    )
    parser.add_argument("--top", metavar="K", type=positive, default=3, help="how many classes to show (default: 3)")
    given = parser.parse_args(arguments)
    trained = load_trained(given.run)
    code = 0
    for path in given.images:
        name = os.fsencode(path).decode(errors="backslashreplace")  # a file's name need not be text
        try:
            image = read_picture(path, trained.size, trained.channels)
            print(f"{name}: {in_words(predict(trained, image), given.top)}")
        except PictureError as error:
            print(f"error: {name}: {error}", file=sys.stderr)
            code = error.exit_code
    return code


def positive(text: str) -> int:
    """Return a whole number of at least 1; raises the error that argparse reports."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number, at least 1")
    return int(text)


@torch.inference_mode()
def predict(trained: Trained, image: Tensor) -> dict[str, float]:
    """Return the probability of each class, the likeliest first, for a uint8 image (size, size, channels)."""
    logits = trained.model(trained.normalize()(image[None]))[0]
    probabilities = dict(zip(trained.classes, logits.double().softmax(dim=0).tolist()))
    return dict(sorted(probabilities.items(), key=lambda item: -item[1]))


def in_words(probabilities: dict[str, float], top: int) -> str:
    """Return the first `top` classes with their probabilities."""
    return ", ".join(f"{name} {probability:.1%}" for name, probability in list(probabilities.items())[:top])


if __name__ == "__main__":
    with exit_on_error():
        sys.exit(main())
