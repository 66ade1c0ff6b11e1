"""A data set as uint8 tensors in the memory of the training device, its split, and its batches.

Nothing is decoded, copied or moved during an epoch: a batch is one gather from these tensors. The order of the
images and every random choice of the augmentation are functions of (seed, epoch) alone, drawn on the CPU, so any epoch
can be reproduced without the earlier ones, on any device.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from resnet.errors import ConfigError
from resnet.training.augment import SEED, Augmenter
from resnet.training.downloads import read_or_download
from resnet.training.pictures import read_folder

SPLIT_SEED = 42  # the original's random_state: the same images are held out whatever a run's seed is


@dataclass(frozen=True)
class Split:
    """Images (n, height, width, channels) as uint8 and labels (n,) as int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray) -> "Split":
        """Return the images at `index`, sorted by position."""
        places = torch.from_numpy(np.sort(index))
        return Split(self.images[places], self.labels[places])

    def to(self, device: torch.device) -> "Split":
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """A data set after its split: `val` is None if nothing is held out.

    `mean` and `std` are per channel, over all training images before any are cut or held out, on a scale of 0 to 255.
    """

    name: str
    train: Split
    val: Split | None
    test: Split
    mean: Tensor
    std: Tensor
    classes: tuple[str, ...]

    @property
    def channels(self) -> int:
        return self.train.images.shape[3]

    @property
    def size(self) -> int:
        return self.train.images.shape[1]

    def to(self, device: torch.device) -> "Dataset":
        """Return the data set on a device."""
        val = self.val.to(device) if self.val is not None else None
        return replace(
            self,
            train=self.train.to(device),
            val=val,
            test=self.test.to(device),
            mean=self.mean.to(device),
            std=self.std.to(device),
        )

    def sha256(self) -> str:
        """Return a checksum over all images and labels, which shows whether two runs saw the same data."""
        digest = hashlib.sha256()
        for split in (self.train, self.val, self.test):
            if split is not None:
                for tensor in (split.images, split.labels):
                    digest.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
        return digest.hexdigest()


def load(
    name: str,
    root: str,
    val_fraction: float,
    limit: int | None,
    size: int = 32,
    grey: bool = False,
    pictures: str = "",
) -> Dataset:
    """Return a data set on the CPU, downloaded to `root` if it is missing; `folder` is the pictures in `root`.

    Keeps the first `limit` training images of each class, then holds out a fraction `val_fraction` of them, stratified
    by class. `size`, `grey` and `pictures` are for a folder: see `pictures.read_folder`. Raises DataError if the data
    are unavailable, ConfigError if they cannot be split.
    """
    if name == "digits":
        train, test, classes = _digits()
    else:
        *parts, classes = read_folder(root, size, grey, pictures) if name == "folder" else read_or_download(name, root)
        train, test = (Split(*part) for part in parts)
    mean, std = channel_statistics(train.images)
    if limit is not None:
        train = train.take(first_of_each_class(train.labels.numpy(), limit))
    train, val = hold_out(train, val_fraction) if val_fraction else (train, None)
    return Dataset(name, train, val, test, mean, std, classes)


def hold_out(split: Split, fraction: float) -> tuple[Split, Split]:
    """Divide a split in two, stratified by class; raises ConfigError if scikit-learn finds too few images for that."""
    labels = split.labels.numpy()
    index = np.arange(len(labels))
    try:
        rest, held_out = train_test_split(index, test_size=fraction, random_state=SPLIT_SEED, stratify=labels)
    except ValueError as error:
        raise ConfigError(f"data.val_fraction={fraction}: {len(labels)} images are too few to split: {error}") from None
    return split.take(np.asarray(rest)), split.take(np.asarray(held_out))


def first_of_each_class(labels: np.ndarray, limit: int) -> np.ndarray:
    """Return the positions of the first `limit` images of each class."""
    return np.concatenate([np.flatnonzero(labels == label)[:limit] for label in np.unique(labels)])


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel of uint8 images (n, height, width, channels), exactly.

    Computed from the counts of the 256 values: integers until the last division, for any number of images. A constant
    channel gets a deviation of 1, so that dividing by it is safe.
    """
    counts = torch.stack([torch.bincount(c.flatten(), minlength=256) for c in images.unbind(3)]).double()
    values = torch.arange(256, dtype=torch.float64)
    total = counts.sum(dim=1)
    mean = counts @ values / total
    variance = counts @ values**2 / total - mean**2
    return mean.float(), variance.sqrt().where(variance > 0, 1.0).float()


def training_batches(
    labels: Tensor, augmenter: Augmenter, batch_size: int, seed: int, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield an epoch's batches: augmented uint8 images (batch, height, width, channels), and their labels.

    Depends on (seed, epoch) only: each image comes once, in random order; the last batch may be smaller.
    """
    generator = epoch_generator(seed, epoch)
    order = torch.randperm(len(labels), generator=generator)
    drawn = augmenter.draw(generator)
    seeds = drawn[order, SEED].tolist() if augmenter.trivial else []
    draws = drawn.to(labels.device)
    for number, index in enumerate(order.to(labels.device).split(batch_size)):
        own_seeds = seeds[number * batch_size : (number + 1) * batch_size]
        yield augmenter.batch(index, draws[index], own_seeds), labels[index]


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """Return a separate generator for each (seed, epoch), with no overlap between neighbours."""
    state = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) % 2**63)


def _digits() -> tuple[Split, Split, tuple[str, ...]]:
    """Return scikit-learn's 8x8 digits; a fixed, stratified fifth of them is the test set."""
    bunch: Any = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    whole = Split(torch.from_numpy(images), torch.from_numpy(bunch.target).long())
    train, test = hold_out(whole, 0.2)
    return train, test, tuple(str(name) for name in bunch.target_names)
