"""Read pictures of any size and kind as network input: a single one, or a folder of them as a data set."""

import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from resnet.errors import ConfigError, UserError
from resnet.training.catalogue import pictures_in


class PictureError(UserError):
    """A picture that cannot be read."""


@lru_cache(maxsize=1)  # a sweep's runs share a folder, and decoding takes longer than a small training
def read_folder(
    root: str, size: int, grey: bool, pictures: str
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], tuple[str, ...]]:
    """Return training and test images, uint8 (n, size, size, 1 or 3) with labels (n,), and the names of the classes.

    Classes are the folders in `root`/train, by name. `pictures` is the pictures' digest: a new one makes the cache read
    them again. Raises ConfigError for a class without training or test pictures, PictureError for an unreadable file.
    """
    train, test = pictures_in(root, "train"), pictures_in(root, "test")
    classes = tuple(train)
    if alone := sorted(set(test) ^ set(train)):
        has, lacks = ("test", "train") if alone[0] in test else ("train", "test")
        raise ConfigError(
            f"data.root={root}: {has}/{alone[0]} has no {lacks}/{alone[0]}: both must have pictures of each class"
        )
    return _read(train, classes, size, grey), _read(test, classes, size, grey), classes


def _read(part: dict[str, list[Path]], classes: tuple[str, ...], size: int, grey: bool) -> tuple[Tensor, Tensor]:
    images, labels = [], []
    for name, pictures in part.items():
        for path in pictures:
            try:
                images.append(read_picture(path, size, 1 if grey else 3))
            except PictureError as error:
                raise PictureError(f"{path}: {error}") from None
            labels.append(classes.index(name))
    return torch.stack(images), torch.tensor(labels)


def read_picture(path: Path, size: int, channels: int) -> Tensor:
    """Return a picture as network input, uint8 (size, size, channels); raises PictureError if it is unreadable."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about odd but readable files
            with Image.open(path) as file:
                image = opaque(eight_bit(ImageOps.exif_transpose(file)), "RGB" if channels == 3 else "L")
                image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    except UnidentifiedImageError:
        raise PictureError("not a picture in a format that is known here") from None
    except Exception as error:  # Pillow's decoders raise almost any exception for a damaged file
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"cannot be read: {reason}") from None
    return torch.from_numpy(np.array(image)).view(size, size, channels)


def eight_bit(image: Image.Image) -> Image.Image:
    """Return a 16-bit grey picture scaled to 8 bits, which Pillow would clip instead; others unchanged."""
    if image.mode == "F":
        raise PictureError("floating-point pixels, whose range is unknown")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise PictureError("more than 16 bits a pixel")
    return Image.fromarray(np.rint(values / 257).astype(np.uint8))


def opaque(image: Image.Image, mode: str) -> Image.Image:
    """Return a picture in `mode`, RGB or L, with transparency replaced by white."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)
