"""What a run records about the code that computes it, whoever owns the checkout, and about the machine and packages."""

import os
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

from resnet.record import environment
from resnet.record.environment import git_state


@pytest.fixture(autouse=True)
def without_settings(monkeypatch):
    """Hide the user's settings from git, and the repository of a hook, to which a test would otherwise commit."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    for name in environment.OTHER_REPOSITORY:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def git() -> None:
    """Skip the test without git."""
    if not shutil.which("git"):
        pytest.skip("needs git")


@pytest.fixture
def checkout(git, tmp_path, monkeypatch) -> Path:
    """Return a new checkout from which the code appears to run."""
    own = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c")
    (tmp_path / "resnet" / "record").mkdir(parents=True)
    (tmp_path / "resnet" / "record" / "environment.py").write_text("")
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "first")):
        subprocess.run((*own, *command), cwd=tmp_path, check=True)
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "resnet" / "record" / "environment.py"))
    return tmp_path


@pytest.mark.parametrize("owner", ["0", "1"])
def test_the_commit_is_known_whoever_owns_the_checkout(checkout, monkeypatch, owner):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", owner)
    state = git_state()
    assert len(state["commit"]) == 40 and state["dirty"] is False
    (checkout / "resnet" / "new.py").write_text("")
    assert git_state() == state | {"dirty": True}


@pytest.mark.parametrize("name, place", [
    ("GIT_DIR", ".git"),
    ("GIT_WORK_TREE", "."),
    ("GIT_INDEX_FILE", ".git/index"),
    ("GIT_OBJECT_DIRECTORY", ".git/objects"),
    ("GIT_COMMON_DIR", ".git"),
])  # fmt: skip
def test_a_process_started_by_another_repositorys_hook_records_its_own_code(checkout, monkeypatch, name, place):
    state = git_state()
    subprocess.run(("git", "init", "-q", "other"), cwd=checkout, check=True)
    monkeypatch.setenv(name, str(checkout / "other" / place))
    assert git_state() == state and len(state["commit"]) == 40


def test_a_worktree_has_a_commit_too(checkout, monkeypatch):
    subprocess.run(("git", "worktree", "add", "-q", "beside"), cwd=checkout, check=True)
    monkeypatch.setattr(environment, "__file__", str(checkout / "beside" / "resnet" / "record" / "environment.py"))
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert len(git_state()["commit"]) == 40


def test_an_fsmonitor_that_the_checkout_configures_is_not_run(checkout, tmp_path):
    subprocess.run(("git", "config", "core.fsmonitor", f"touch {tmp_path}/ran"), cwd=checkout, check=True)
    assert git_state()["commit"] and not (tmp_path / "ran").exists()


def test_without_a_checkout_or_a_commit_git_state_is_empty(git, tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "resnet" / "record" / "environment.py"))
    assert git_state() == {}
    subprocess.run(("git", "init", "-q"), cwd=tmp_path, check=True)
    assert git_state() == {}


@pytest.fixture
def card(monkeypatch):
    """Fake a GPU as PyTorch describes one."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA L4")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    monkeypatch.setattr(torch, "__version__", "2.14.1+cu130")


@pytest.mark.parametrize(
    "text, driver", [("NVRM version: NVIDIA UNIX x86_64  580.65.06  Sun\n", "580.65.06"), ("", None)]
)
def test_a_gpu_is_recorded_with_its_driver_and_libraries(card, monkeypatch, tmp_path, text, driver):
    monkeypatch.setattr("resnet.training.gpus.DRIVER", tmp_path)
    if text:
        (tmp_path / "version").write_text(text)
    recorded = environment.machine(torch.device("cuda", 0))
    found = {"gpu": "NVIDIA L4", "driver": driver, "cuda": "13.0", "cudnn": 91002, "torch": "2.14.1+cu130"}
    assert recorded.items() >= found.items()


def test_without_a_gpu_none_is_recorded():
    assert environment.gpu(torch.device("cpu")) == {"gpu": None}


@pytest.mark.parametrize("there", [True, False])
def test_triton_may_be_missing(monkeypatch, there):
    def version(package: str) -> str:
        if package == "triton" and not there:
            raise PackageNotFoundError(package)
        return "3.5"

    monkeypatch.setattr(environment, "version", version)
    assert environment.versions().get("triton") == ("3.5" if there else None)
    assert environment.versions()["torch"] == "3.5"


def test_a_process_records_the_code_it_imported_even_if_the_files_change(monkeypatch):
    environment.program.cache_clear()
    first = environment.program()
    monkeypatch.setattr(environment, "code_checksum", lambda: "of changed files")
    monkeypatch.setattr(environment, "git_state", lambda: {"dirty": True})
    assert environment.program() == first and first["code"] != "of changed files"


def test_the_code_checksum_changes_with_the_code_but_not_with_comments_docstrings_or_layout(tmp_path):
    (tmp_path / "a.py").write_text('"""Doc."""\nx = 1  # why\n')
    before = environment.code_checksum(tmp_path)
    (tmp_path / "a.py").write_text('"""Other."""\n\nx = (1)\n')
    assert environment.code_checksum(tmp_path) == before
    (tmp_path / "a.py").write_text("x = 2\n")
    changed = environment.code_checksum(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert len({before, changed, environment.code_checksum(tmp_path)}) == 3
