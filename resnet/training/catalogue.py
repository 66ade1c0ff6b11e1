"""What is known about a data set before it is loaded or downloaded: the number, size and kind of its images."""

import hashlib
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from resnet.errors import ConfigError

PARTS = ("train", "test")


@dataclass(frozen=True)
class Facts:
    """Training images before any are held out, their size in pixels, their channels, and the number of classes.

    `torchvision` is the name of torchvision's class, for data sets that it reads and downloads.
    """

    images: int
    size: int
    channels: int
    classes: int
    torchvision: str = ""


CATALOGUE = {
    "cifar10": Facts(50_000, 32, 3, 10, "CIFAR10"),
    "cifar100": Facts(50_000, 32, 3, 100, "CIFAR100"),
    "svhn": Facts(73_257, 32, 3, 10, "SVHN"),
    "fashion_mnist": Facts(60_000, 28, 1, 10, "FashionMNIST"),
    "digits": Facts(1_437, 8, 1, 10),
}


def facts_of(name: str, root: str, size: int, grey: bool) -> Facts:
    """Return what is known about a data set; `root`, `size` and `grey` matter only for a folder of pictures."""
    if name != "folder":
        return CATALOGUE[name]
    classes = pictures_in(root, "train")
    return Facts(sum(map(len, classes.values())), size, 1 if grey else 3, len(classes))


def split_sizes(facts: Facts, val_fraction: float, limit: int | None) -> tuple[int, int]:
    """Return the numbers of training and validation images that `data.load` makes; with a limit, upper bounds."""
    images = facts.images if limit is None else min(limit * facts.classes, facts.images)
    held_out = math.ceil(images * val_fraction)
    return images - held_out, held_out


def expand(root: str) -> Path:
    """Return a folder with `~` or `~name` replaced by that user's home; raises ConfigError if there is none."""
    try:
        return Path(root).expanduser()
    except RuntimeError:
        raise ConfigError(f"data.root={root}: must be a folder; there is no user {Path(root).parts[0]}") from None


def pictures_in(root: str, part: str) -> dict[str, list[Path]]:
    """Return the pictures in `root`/`part` by class (a folder each, with any folders in it), both sorted by name.

    Raises ConfigError for fewer than two classes, and for a class without pictures.
    """
    folder = expand(root) / part
    layout = "data=folder takes train/CLASS/PICTURE and test/CLASS/PICTURE in data.root"
    if not folder.is_dir():
        raise ConfigError(f"data.root={root}: there is no folder {folder}; {layout}")
    classes = {path.name: _pictures(path) for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."}
    if len(classes) < 2:
        raise ConfigError(f"data.root={root}: {folder} must have 2 or more class folders, has {len(classes)}; {layout}")
    if empty := [name for name, pictures in classes.items() if not pictures]:
        raise ConfigError(f"data.root={root}: {folder / empty[0]} has no picture; add some, or remove the folder")
    return classes


def _pictures(folder: Path) -> list[Path]:
    """Return the pictures in a folder and in the folders in it, except hidden ones."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes() and not path.is_dir())
    return sorted(path for path in found if not any(name[0] == "." for name in path.relative_to(folder).parts))


@cache
def suffixes() -> set[str]:
    """Return the file name suffixes of the formats that Pillow reads."""
    from PIL import Image  # only a folder of pictures needs it

    return {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}


def pictures_digest(root: str) -> str:
    """Return an eight-digit hex digest of all pictures' names and bytes: other pictures are another data set.

    Raises ConfigError for a picture that cannot be read, or whose name is not UTF-8.
    """
    digest, top = hashlib.sha256(), expand(root)
    for picture in (picture for part in PARTS for pictures in pictures_in(root, part).values() for picture in pictures):
        name, state = picture.relative_to(top).as_posix(), picture.stat()
        try:
            digest.update(f"{name} {_checksum(picture, state.st_size, state.st_mtime_ns)}\n".encode())
        except UnicodeEncodeError:
            raise ConfigError(f"data.root={root}: {name!a} must have a name in UTF-8") from None
    return digest.hexdigest()[:8]


@cache
def _checksum(file: Path, size: int, changed: int) -> str:
    """Return the checksum of a file; cached, so a sweep reads an unchanged file once for all its runs."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"data.root: {file} cannot be read, {error.strerror}") from None
