"""The project from Python: the examples in its docstrings, run one after the other in an empty folder."""

import doctest
import importlib

import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("python")


@pytest.mark.parametrize("module", ["resnet.launch.compose", "resnet.session", "resnet.record.trained"])
def test_examples_do_what_they_say(folder, monkeypatch, module):
    """The second trains the network that the third loads."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried and not failed
