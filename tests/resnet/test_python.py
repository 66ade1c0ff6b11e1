"""The project from Python: the examples in its docstrings, run one after another in an empty folder."""

import doctest
import importlib


def test_examples_do_what_they_say(tmp_path, monkeypatch):
    """The second module's examples train the network that the third's load."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for module in ("resnet.launch.compose", "resnet.session", "resnet.record.trained"):
        failed, tried = doctest.testmod(importlib.import_module(module))
        assert tried and not failed, module
