"""A finished run's network, ready for use: a run folder's weights, and what its inputs and outputs mean.

Everything comes from the run folder; the data set that the network was trained on need not be there.
"""

import copy
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from resnet.config import Config, Data, Model, check
from resnet.errors import ConfigError, UserError, lacks_memory
from resnet.record.folder import RunFolder
from resnet.training.data import Dataset, load
from resnet.training.device import be_reproducible, has_native_bf16, memory_format_of, resolve_device
from resnet.training.model import Network, ResNet
from resnet.training.trainer import Normalize

READ = {  # the keys read from result.json, and their types
    **dict.fromkeys(("device", "precision", "data.name", "data.sha256"), str),
    **dict.fromkeys(("depth", "data.size"), int),
    **dict.fromkeys(("test.loss", "test.acc"), float),
    **dict.fromkeys(("data.mean", "data.std"), list),
    **dict.fromkeys(("network", "test.per_class_acc"), dict),
}


class TrainedError(UserError):
    """A run folder whose files are damaged or do not belong together."""


@dataclass(frozen=True)
class Trained:
    """A network in evaluation mode on the CPU, its run's `config.yaml` and `result.json`, and its images' statistics.

    `mean` and `std` (channels,) are those of the training images, on a scale of 0 to 255. The network was trained on
    images of `size` x `size` pixels.
    """

    path: Path
    config: dict[str, Any]
    result: dict[str, Any]
    network: Network
    model: ResNet
    mean: Tensor
    std: Tensor
    size: int
    classes: tuple[str, ...]

    @property
    def channels(self) -> int:
        """Return the number of channels of an image."""
        return len(self.mean)

    def data_settings(self, root: str | None) -> dict[str, Any]:
        """Return the arguments of `load` for the run's data.

        Without `root`, a folder of pictures is where it was; other data sets are in $RESNET_DATA, else where they were,
        or in `data` if that is not there.
        """
        settings = asdict(Data(**self.config["data"]))
        if root is None:
            root = own = str(settings["root"])
            if settings["name"] != "folder":
                root = os.environ.get("RESNET_DATA", own if os.path.isdir(os.path.expanduser(own)) else "data")
        return settings | {"root": root}

    def normalize(self) -> Normalize:
        """Return the module that turns uint8 images (batch, height, width, channels) into the network's input."""
        return Normalize(self.mean, self.std)

    def conditions(self) -> tuple[torch.device, str]:
        """Return the device and precision on this machine that are closest to those of the training."""
        device = resolve_device("auto") if self.result["device"] == "cuda" else torch.device("cpu")
        bf16 = self.result["precision"] == "bf16" and has_native_bf16(device)
        return device, "bf16" if bf16 else "fp32"

    def on(self, device: torch.device) -> tuple[ResNet, Normalize]:
        """Return a copy of the network on a device, and the module that normalises images there, as in training."""
        be_reproducible()
        order = memory_format_of(device)
        model = copy.deepcopy(self.model).to(device, memory_format=order)  # type: ignore[call-overload]
        return model, Normalize(self.mean, self.std, order).to(device)


def load_trained(path: Path) -> Trained:
    """Return the network of the run in a folder.

    Raises ConfigError for a folder that does not hold a complete run with its weights, TrainedError if its files are
    damaged or do not belong together.

    >>> trained = load_trained(Path("runs/mine/blocks4/seed0"))
    >>> trained.classes[:3], trained.size, trained.channels
    (('0', '1', '2'), 8, 1)
    >>> images = torch.zeros(5, 8, 8, 1, dtype=torch.uint8)
    >>> with torch.inference_mode():
    ...     logits = trained.model(trained.normalize()(images))
    >>> logits.shape
    torch.Size([5, 10])
    """
    check_complete(path)
    config, result = read_config(path / "config.yaml"), read_result(path)
    try:
        network = Network(**result["network"])
        mean, std = (torch.tensor(result["data"][key], dtype=torch.float32) for key in ("mean", "std"))
        model = network.build()
    except (ValueError, TypeError, RuntimeError) as error:
        if lacks_memory(error):
            raise
        raise damaged(path / "result.json", error) from None
    load_weights(model, path / "weights.safetensors")
    # the memory layout of training on a CPU; another one would change the last digits
    model = model.eval().to(memory_format=torch.channels_last)
    classes = tuple(result["test"]["per_class_acc"])
    return Trained(path, config, result, network, model, mean, std, result["data"]["size"], classes)


def read_config(path: Path) -> dict[str, Any]:
    """Return a run's config.yaml; raises TrainedError if it does not say which data the run used."""
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        check(Config(data=Data(**{"name": None} | config["data"])))
    except (ConfigError, KeyError, ValueError, AttributeError, TypeError, yaml.YAMLError) as error:
        raise damaged(path, error) from None
    return config


def read_result(path: Path) -> dict[str, Any]:
    """Return a run's result.json; raises TrainedError if a key in READ is missing or has a wrong value."""
    result = RunFolder(path).result()
    try:
        for key, kind in READ.items():
            found: Any = result
            for part in key.split("."):
                found = found[part]
            if not isinstance(found, kind):
                raise ValueError(f"{key}={found}")
        model = {key: value for key, value in result["network"].items() if key not in ("classes", "channels")}
        check(Config(model=Model(**model)))
    except (ConfigError, KeyError, ValueError, TypeError) as error:
        raise damaged(path / "result.json", error) from None
    return result


def damaged(path: Path, error: Exception) -> TrainedError:
    """Return the error to raise for a file whose content caused an exception."""
    reason = f"has no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
    return TrainedError(f"{path}: damaged, or by another version: {reason}")


def load_data(trained: Trained, root: str | None) -> tuple[Dataset, bool]:
    """Return a run's data set, and whether its images and its split are those the run was trained on.

    `root` is passed to `data_settings`. Raises ConfigError if the classes are not the network's.
    """
    data = load(**trained.data_settings(root))
    if data.classes != trained.classes:
        differing = sorted({*data.classes} ^ {*trained.classes})[:5]
        raise ConfigError(f"{trained.path}: the classes of the data here differ from the run's: {', '.join(differing)}")
    return data, data.sha256() == trained.result["data"]["sha256"]


def check_complete(path: Path) -> None:
    """Raise ConfigError unless the folder holds a complete run and its weights."""
    if not path.is_dir():
        raise ConfigError(f"{path}: no such folder")
    state = RunFolder(path).state()
    if state == "not started":
        below = (path.glob(f"{'*/' * levels}weights.safetensors") for levels in (1, 2, 3))
        found = min((weights for level in below for weights in level), default=None)
        raise ConfigError(f"{path}: not a run folder" + (f", did you mean {found.parent}?" if found else ""))
    if state != "complete":
        raise ConfigError(f"{path}: this run is {state}: it has no final weights")
    if not (path / "weights.safetensors").exists():
        if (path / "curvature.csv").exists():
            raise ConfigError(f"{path}: an inspection, which trains nothing: it has no weights")
        raise ConfigError(f"{path}: holds the run's results but no weights.safetensors; train it again to get them")


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a network's weights from a file; raises TrainedError if it is damaged or holds another network's weights."""
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise TrainedError(f"{path}: damaged: {error}") from None
    found, own = ({k: (w.shape, w.dtype) for k, w in state.items()} for state in (weights, model.state_dict()))
    if found != own:
        raise TrainedError(f"{path}: these are not the weights of the network that result.json describes")
    model.load_state_dict(weights)
