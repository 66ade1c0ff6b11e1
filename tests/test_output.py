"""Both packages' commands when their output cannot be written, or when its reader is gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SETTING = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
RESNET = """
import sys
from resnet.errors import exit_on_error

with exit_on_error():
    print("a line")
    sys.exit(3)
"""
TABLE = Path(__file__).resolve().parents[1] / "runs" / "reference" / "seed_table"
COMMANDS = [(("-c", RESNET), 3), (("-m", "analysis.table", str(TABLE)), 0)]


def run(arguments: tuple[str, ...], out) -> subprocess.CompletedProcess:
    return subprocess.run((sys.executable, *arguments), stdout=out, stderr=subprocess.PIPE, text=True, env=SETTING)


@pytest.mark.parametrize("arguments, code", COMMANDS, ids=["resnet", "analysis"])
@pytest.mark.parametrize("device, said", [("/dev/full", "No space left"), ("/dev/null", "")])
def test_output_that_cannot_be_written_is_reported_in_one_line(arguments, code, device, said):
    if not os.path.exists(device):
        pytest.skip(f"needs {device}")
    with open(device, "w") as out:
        done = run(arguments, out)
    assert done.returncode == (1 if said else code)
    assert said in done.stderr and done.stderr.count("\n") == bool(said)


@pytest.mark.parametrize("arguments, code", COMMANDS, ids=["resnet", "analysis"])
def test_a_reader_that_is_gone_causes_no_message(arguments, code):
    reader, writer = os.pipe()
    os.close(reader)
    done = run(arguments, writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
