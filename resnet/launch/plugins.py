"""Registration of this project's sweeper and launcher with Hydra."""

import sys
from types import ModuleType

from hydra.core.plugins import Plugins


def register(plugin: type) -> None:
    """Make a plugin known to Hydra as `hydra_plugins.resnet.<its name>`.

    Hydra accepts plugins only from the package `hydra_plugins`, which would have to be installed. A module made here
    works in a bare checkout, too.
    """
    plugins = Plugins.instance()  # imports hydra_plugins if an installed plugin provides it
    parent = sys.modules.setdefault("hydra_plugins", ModuleType("hydra_plugins"))
    module = sys.modules.setdefault("hydra_plugins.resnet", ModuleType("hydra_plugins.resnet"))
    vars(parent)["resnet"] = module
    vars(module)[plugin.__name__] = plugin
    plugin.__module__ = module.__name__
    plugins.register(plugin)  # type: ignore[arg-type]
