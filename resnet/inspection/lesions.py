"""What a trained network loses without one of its blocks, or with two neighbours swapped (Veit et al. 2016).

Removing a block removes its residual branch and keeps its shortcut, including a projection or padding if the shape
changes. A plain block has no shortcut: one that keeps the shape is left out altogether; a plain block that changes the
shape is never removed. Two neighbours are swapped if both keep the shape.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch import Tensor, nn

from resnet.errors import ConfigError
from resnet.record.trained import Trained, load_data
from resnet.training.data import Split
from resnet.training.model import Network, ResNet
from resnet.training.trainer import Normalize, evaluate


class ShortcutOnly(nn.Module):
    """Compute ReLU(shortcut(x)): a block without its residual branch."""

    def __init__(self, shortcut: nn.Module):
        super().__init__()
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x).relu()


def lesions_of(trained: Trained, root: str | None = None, watch: Callable[[Any], Any] = iter) -> list[dict[str, Any]]:
    """Return how a finished run's network does on the held-out images after each lesion: rows as in lesions.csv.

    Each has `lesion`, `block`, `loss` and `accuracy`, as `measure_lesions` describes them; the first is for the whole
    network and, on the same kind of machine, equals what the run itself measured. `root` is the folder of the data; for
    its default see `trained.data_settings`. Raises ConfigError for a network of one block, for a run without held-out
    images (the test set is never used), and if the data are not the run's.
    """
    split = held_out(trained, root)
    device, precision = trained.conditions()
    model, normalize = trained.on(device)
    return measure_lesions(model, trained.network, normalize, split.to(device), precision == "bf16", watch)


def held_out(trained: Trained, root: str | None) -> Split:
    """Return the images that a run was validated on; raises ConfigError as `lesions_of` does."""
    if sum(trained.network.stages) == 1:
        raise ConfigError(f"{trained.path}: a network of one block has none to remove; lesions need two or more")
    data, same = load_data(trained, root)
    if data.val is None:
        raise ConfigError(f"{trained.path}: no images were held out (data.val_fraction=0); the test set is not used")
    if not same:
        raise ConfigError(f"{trained.path}: the data set here, or its split, is not what the run was trained on")
    return data.val


def measure_lesions(
    model: ResNet, network: Network, normalize: Normalize, split: Split, bf16: bool, watch: Callable[[Any], Any] = iter
) -> list[dict[str, Any]]:
    """Return the rows of lesions.csv: loss and accuracy over a split, of the whole network and after each lesion.

    `lesion` is `none`, `remove` or `swap`; `block` counts from 0, and is the first of the two in a swap. `watch` wraps
    the list of lesions, for a progress bar.
    """
    rows = []
    for lesion, block, changed in watch(list(lesions(model, network))):
        figures, _ = evaluate(changed, normalize, split, bf16)
        rows.append({"lesion": lesion, "block": block, "loss": figures.loss, "accuracy": figures.accuracy})
    return rows


def lesions(model: ResNet, network: Network) -> Iterator[tuple[str, int | None, ResNet]]:
    """Yield the name of each lesion, the block it affects, and the network after it."""
    blocks = list(model.blocks)
    keeps = [not shape.changes for _, shape in network.shapes()]
    yield "none", None, model
    for number, block in enumerate(blocks):
        without: list[nn.Module] = []
        if isinstance(block.shortcut, nn.Module):
            without = [ShortcutOnly(block.shortcut)]
        elif not keeps[number]:
            continue
        yield "remove", number, with_blocks(model, [*blocks[:number], *without, *blocks[number + 1 :]])
    for number in range(len(blocks) - 1):
        if keeps[number] and keeps[number + 1]:
            swapped = [*blocks[:number], blocks[number + 1], blocks[number], *blocks[number + 2 :]]
            yield "swap", number, with_blocks(model, swapped)


def with_blocks(model: ResNet, blocks: Iterable[nn.Module]) -> ResNet:
    """Return a copy of the network with these blocks in place of its own; no weights are copied."""
    changed = copy.copy(model)
    changed._modules = dict(model._modules)
    changed.blocks = nn.Sequential(*blocks)
    return changed
