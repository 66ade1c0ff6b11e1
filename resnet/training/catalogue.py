"""What is known of a data set before it is loaded, or downloaded: how many images, of what size and kind."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """Training images before any are held out, their size, channels and classes, and images of the rarest class."""

    images: int
    size: int
    channels: int
    classes: int
    rarest: int


CATALOGUE = {
    "cifar10": Facts(50_000, 32, 3, 10, 5_000),
    "cifar100": Facts(50_000, 32, 3, 100, 500),
    "digits": Facts(1_437, 8, 1, 10, 139),
}


def split_sizes(facts: Facts, val_fraction: float, limit: int | None) -> tuple[int, int]:
    """Return the numbers of training and of validation images, as `data.load` makes them; of a limit, at most."""
    images = facts.images if limit is None else min(limit * facts.classes, facts.images)
    held_out = math.ceil(images * val_fraction)
    return images - held_out, held_out
