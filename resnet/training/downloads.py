"""torchvision's data sets, read from a folder, and downloaded to it by one process at a time."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resnet.errors import UserError
from resnet.locks import lock
from resnet.training.catalogue import CATALOGUE, expand

log = logging.getLogger(__name__)

STALLED = 30.0  # seconds without a byte before a download is given up

Labelled = tuple[Tensor, Tensor]


class DataError(UserError):
    """A data set that is missing or incomplete, or cannot be downloaded or read."""


def read_or_download(name: str, root: str) -> tuple[Labelled, Labelled, tuple[str, ...]]:
    """Return training and test images, uint8 (n, height, width, 1 or 3) with labels (n,), and the names of the classes.

    If they are missing or incomplete, they are first downloaded to `root`. Raises DataError if that fails.
    """
    from torchvision import datasets  # takes a second, so only when needed

    dataset, folder = getattr(datasets, CATALOGUE[name].torchvision), expand(root)
    try:
        parts = _read(dataset, folder)
        if parts is None:
            with _locked(folder):
                parts = _read(dataset, folder) or _download(dataset, folder)
    except OSError as error:
        raise DataError(f"data.root={folder}: cannot be read or written: {error}") from None
    train, test = ((_images(part.data), torch.as_tensor(_labels(part)).long()) for part in parts)
    return train, test, tuple(getattr(parts[0], "classes", map(str, range(10))))


def _images(data: Any) -> Tensor:
    """Return torchvision's images as uint8 (n, height, width, channels)."""
    images = np.asarray(data)
    if images.ndim == 3:  # grey
        images = images[..., None]
    elif images.shape[1] == 3:  # SVHN has channels first
        images = images.transpose(0, 2, 3, 1)
    return torch.from_numpy(np.ascontiguousarray(images))  # CIFAR's are views of (n, 3, 32, 32)


def _labels(part: Any) -> Any:
    return part.labels if hasattr(part, "labels") else part.targets


def _both(dataset: type, root: Path, **how: bool) -> tuple:
    """Return torchvision's training and test parts."""
    if dataset.__name__ == "SVHN":
        return dataset(root, split="train", **how), dataset(root, split="test", **how)
    return dataset(root, train=True, **how), dataset(root, train=False, **how)


def _read(dataset: type, root: Path) -> tuple | None:
    """Return torchvision's training and test parts, or None if a file is missing or damaged.

    torchvision unpickles a file only if its md5 matches. Of Fashion-MNIST's arrays it checks only the sizes.
    """
    try:
        return _both(dataset, root)
    except (RuntimeError, ValueError, TypeError, AssertionError):
        return None


def _download(dataset: type, root: Path) -> tuple:
    """Download and unpack the archive; if that fails, raises DataError that names two ways to continue."""
    from torchvision.datasets.utils import download_and_extract_archive

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALLED)  # without it, a server that stops sending would block us forever
    try:
        if not hasattr(dataset, "tgz_md5"):  # several files, each with its own md5
            for damaged in root.glob(f"{dataset.__name__}/raw/*-ubyte"):  # torchvision would accept them
                damaged.unlink()
            return _both(dataset, root, download=True)
        # not the class's own download, which accepts intact batches with a damaged list of classes
        download_and_extract_archive(dataset.url, root, filename=dataset.filename, md5=dataset.tgz_md5)
        return _both(dataset, root)
    except (OSError, RuntimeError, EOFError, HTTPException) as error:
        reason = " ".join(str(error).split())
        source = dataset.url if hasattr(dataset, "url") else "it"
        raise DataError(
            f"data.root={root} does not hold {dataset.__name__} whole, and downloading {source} failed: {reason}\n"
            f"Put {_place(dataset)} into {root} (or point data.root at its parent), or use data=digits, "
            "which needs no download."
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _place(dataset: type) -> str:
    """Return the files or the folder in which torchvision keeps the data set."""
    if dataset.__name__ == "SVHN":
        return "train_32x32.mat and test_32x32.mat"
    return f"the folder {getattr(dataset, 'base_folder', dataset.__name__)}"


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Let one process at a time download; the lock is released when its owner ends."""
    root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(root / ".download.lock", os.O_CREAT | os.O_RDWR)
    try:
        try:
            lock(descriptor)
        except BlockingIOError:
            log.info(f"data.root={root}: another process is downloading to it; waiting for it to finish")
            lock(descriptor, wait=True)
        yield
    finally:
        os.close(descriptor)
