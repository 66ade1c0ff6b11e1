"""Both packages' commands when their output cannot be written, or when its reader is gone."""

import os
import subprocess
import sys

import pytest

SETTING = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
RESNET = """
import sys
from resnet.errors import exit_on_error

with exit_on_error():
    print("a line")
    sys.exit(3)
"""
ANALYSIS = """
import sys
from analysis.command import exit_on_error

@exit_on_error
def main(arguments):
    print("a line")
    return 3

sys.exit(main())
"""


def run(script: str, out) -> subprocess.CompletedProcess:
    return subprocess.run((sys.executable, "-c", script), stdout=out, stderr=subprocess.PIPE, text=True, env=SETTING)


@pytest.mark.parametrize("script", [RESNET, ANALYSIS])
@pytest.mark.parametrize(
    "device, code, said",
    [
        pytest.param(
            "/dev/full",
            1,
            "No space left",
            marks=pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full"),
        ),
        ("/dev/null", 3, ""),
    ],
)
def test_output_that_cannot_be_written_is_reported_in_one_line(script, device, code, said):
    with open(device, "w") as out:
        done = run(script, out)
    assert done.returncode == code and said in done.stderr and done.stderr.count("\n") == bool(said)


@pytest.mark.parametrize("script", [RESNET, ANALYSIS])
def test_a_reader_that_is_gone_causes_no_message(script):
    reader, writer = os.pipe()
    os.close(reader)
    done = run(script, writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
