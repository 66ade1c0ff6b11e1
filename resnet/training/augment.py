"""Augment a whole batch at once, each image by its own random draws, on the device that holds the images.

Mirroring, shifting and cutting out only decide which pixel of the data set goes where. So the data set is one long
table of pixels, and an augmented batch is a lookup by row numbers that encode all three, without a pass over an image
or a padded copy. Two more rows of the table, one black and one of the mean colour, serve as margin and hole.
"""

import torch
from torch import Tensor

DRAWS = ("flip", "top", "left", "hole_row", "hole_column", "seed")
SEED = DRAWS.index("seed")


class Augmenter:
    """Read augmented batches out of `images`, uint8 (n, size, size, channels).

    `flip` mirrors left to right with probability 1/2. `crop_padding` is the largest shift in pixels in each direction;
    the margin is black. `cutout` is the side in pixels of a square of the colour `mean`, placed around a random pixel.
    `trivial` then applies TrivialAugment (Müller and Hutter 2021).
    """

    def __init__(self, images: Tensor, mean: Tensor, flip: bool, crop_padding: int, cutout: int, trivial: bool):
        self.count, self.size, _, channels = images.shape
        self.flip, self.crop_padding, self.cutout, self.trivial = flip, crop_padding, cutout, trivial
        margin_and_hole = torch.stack([torch.zeros_like(mean), mean.round()]).to(images.dtype)
        self.pixels = torch.cat([images.reshape(-1, channels), margin_and_hole])
        self.margin, self.hole = len(self.pixels) - 2, len(self.pixels) - 1

    def draw(self, generator: torch.Generator) -> Tensor:
        """Draw an epoch's random numbers, int64 (n, 6), columns as in DRAWS.

        All are drawn even if unused, so that switching one augmentation on or off does not change the others.
        """
        pad, size = self.crop_padding, self.size
        bounds = {
            "flip": (0, 2),
            "top": (-pad, pad + 1),
            "left": (-pad, pad + 1),
            "hole_row": (0, size),
            "hole_column": (0, size),
            "seed": (0, 2**62),
        }
        columns = [torch.randint(*bounds[draw], (self.count,), generator=generator) for draw in DRAWS]
        return torch.stack(columns, dim=1)

    def batch(self, index: Tensor, draws: Tensor, seeds: list[int] | None = None) -> Tensor:
        """Return the images at `index`, uint8 (batch, size, size, channels), augmented according to their draws.

        `seeds` is the `seed` column of the draws if it is already on the CPU: reading it from a GPU would synchronise.
        """
        where = self._pixel_rows(index, draws)
        batch = self.pixels.index_select(0, where.flatten()).view(*where.shape, -1)
        if not self.trivial:
            return batch
        return trivial_augment(batch, draws[:, SEED].tolist() if seeds is None else seeds)

    def _pixel_rows(self, index: Tensor, draws: Tensor) -> Tensor:
        """Return the row of the pixel table to read for each pixel of each image, int64 (batch, size, size)."""
        flip, top, left, hole_row, hole_column, _ = draws[:, :, None].unbind(1)  # (batch, 1) each
        to = torch.arange(self.size, device=index.device)
        rows = (to + top)[:, :, None]
        mirrored = torch.where(flip.bool(), self.size - 1 - to, to) if self.flip else to
        columns = (mirrored + left)[:, None, :]
        where = (index[:, None, None] * self.size + rows) * self.size + columns
        if self.crop_padding:
            where = where.masked_fill((rows < 0) | (rows >= self.size), self.margin)
            where = where.masked_fill((columns < 0) | (columns >= self.size), self.margin)
        if self.cutout:
            in_rows = self._within(to, hole_row)[:, :, None]
            in_columns = self._within(to, hole_column)[:, None, :]
            where = where.masked_fill(in_rows & in_columns, self.hole)
        return where

    def _within(self, position: Tensor, center: Tensor) -> Tensor:
        """Return which positions the square around each center covers, bool (batch, size)."""
        offset = position - center + self.cutout // 2
        return (offset >= 0) & (offset < self.cutout)


def trivial_augment(batch: Tensor, seeds: list[int]) -> Tensor:
    """Return each uint8 image (height, width, channels) of the batch after TrivialAugment with its own seed.

    torchvision would treat a batch as one image, and draws from the global generator, whose state is restored.
    """
    from torchvision.transforms.v2 import TrivialAugmentWide  # its import takes a second

    augment = TrivialAugmentWide()
    augmented = torch.empty_like(batch)
    with torch.random.fork_rng(devices=[]):
        for i, seed in enumerate(seeds):
            torch.manual_seed(seed)
            augmented[i] = augment(batch[i].permute(2, 0, 1)).permute(1, 2, 0)
    return augmented
