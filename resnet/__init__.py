"""Train residual and plain networks of any depth on small images, CIFAR-10 first of all, and record what happened.

The names that a notebook needs can be imported from here. Each is loaded when it is first used, so that `--help` and
composing a configuration need not wait for PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resnet.config import Config, check, run_name
    from resnet.inspection.lesions import lesions_of
    from resnet.launch.compose import compose_config
    from resnet.record.folder import RunFolder
    from resnet.record.trained import load_trained
    from resnet.session import run_or_resume
    from resnet.training.model import Network

__all__ = ["Config", "Network", "RunFolder", "check", "compose_config", "lesions_of"]
__all__ += ["load_trained", "run_name", "run_or_resume"]

_PLACES: dict[str, str] = dict.fromkeys(("Config", "check", "run_name"), "config")
_PLACES |= {"Network": "training.model", "RunFolder": "record.folder", "compose_config": "launch.compose"}
_PLACES |= {"lesions_of": "inspection.lesions", "load_trained": "record.trained", "run_or_resume": "session"}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'resnet' has no attribute '{name}'")
    return getattr(import_module(f"resnet.{_PLACES[name]}"), name)
