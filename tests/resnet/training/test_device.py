"""What a process may use of its machine, and what it does if something is missing."""

import getpass
import os
import subprocess
import sys

import pytest
import torch

from resnet.errors import ConfigError
from resnet.training import device
from tests.conftest import one_thread


@pytest.fixture
def threads():
    """Restore the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("given, allowed, expected", [("", 1, 1), ("3", 1, 3), ("0", 2, 2), ("x", 1, 1), ("", 64, 4)])
def test_threads_are_limited_to_the_allowed_cpus_unless_given(monkeypatch, threads, given, allowed, expected):
    torch.set_num_threads(4)
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr(device, "cpu_count", lambda: allowed)
    device.set_thread_count()
    assert torch.get_num_threads() == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_cpu_affinity_limits_the_threads(tmp_path):
    """As set by a scheduler that gives one core of many."""
    code = "import os, torch; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); torch.set_num_threads(2); "
    code += "from resnet.training.device import set_thread_count as s; s(); print(torch.get_num_threads())"
    environment = {name: value for name, value in one_thread().items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run((sys.executable, "-c", code), env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def make_optimizer() -> None:
    layer = torch.nn.Linear(1, 1)
    torch.optim.Adam(layer.parameters(), fused=True).zero_grad()


@pytest.mark.parametrize("folder", ["/proc/nope", "/dev/null/cache"])
def test_a_cache_folder_that_cannot_be_made_is_replaced(monkeypatch, caplog, folder):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", folder)
    device.provide_cache_folder()
    assert f"{folder}: cannot be written to" in caplog.text
    assert os.path.isdir(os.environ["TORCHINDUCTOR_CACHE_DIR"]) and os.environ["TORCHINDUCTOR_CACHE_DIR"] != folder
    make_optimizer()


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 12345"), OSError("No username set")])
def test_a_user_without_a_name_gets_a_cache_folder(monkeypatch, caplog, tmp_path, error):
    def getuser() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", getuser)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    device.provide_cache_folder()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / f"torchinductor_uid_{os.getuid()}")
    assert not caplog.records
    del os.environ["TORCHINDUCTOR_CACHE_DIR"]  # not by monkeypatch, which would restore it


def test_a_chosen_cache_folder_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "mine"))
    device.provide_cache_folder()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "mine") and (tmp_path / "mine").is_dir()


INTEL, AMD = "vendor_id : GenuineIntel\nflags : fma avx512f", "vendor_id : AuthenticAMD\nflags : fma avx512f"


@pytest.mark.parametrize(
    "cpu, native, chosen",
    [
        (INTEL, False, "fp32"),
        (INTEL + " avx512_bf16", True, "bf16"),
        (INTEL + " avx512_bf16 avx512_fp16", True, "fp32"),  # fast in bf16 only with AMX
        (INTEL + " avx512_bf16 avx512_fp16 amx_bf16", True, "bf16"),
        (AMD, False, "fp32"),
        (AMD + " avx512_bf16 avx512_fp16", True, "bf16"),
        (None, False, "fp32"),
    ],
)
def test_auto_is_the_faster_precision(monkeypatch, tmp_path, cpu, native, chosen):
    cpuinfo = tmp_path / "cpuinfo"
    if cpu is not None:
        cpuinfo.write_text(cpu)
    monkeypatch.setattr(device, "CPUINFO", cpuinfo)
    here = torch.device("cpu")
    assert device.has_native_bf16(here) is native and device.resolve_precision("auto", here) == chosen
    if native:
        assert device.resolve_precision("bf16", here) == "bf16"
    else:
        with pytest.raises(ConfigError, match="^precision=bf16: this cpu has no native bf16; use precision=fp32 or au"):
            device.resolve_precision("bf16", here)
