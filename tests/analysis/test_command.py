"""What the table, the figures and the report have in common: which runs they read, and what they refuse."""

import os
from pathlib import Path

import pytest

from analysis import plots, report, table


@pytest.fixture(params=[table, plots, report], ids=lambda module: module.__name__)
def run(request, build, capsys):
    """Return a function that runs a command line and returns what it wrote, for files their names, and its stderr."""

    def answer(*arguments: str, code: int = 0) -> tuple[str, str]:
        assert request.param.main(arguments) == code
        printed = capsys.readouterr()
        page = Path(printed.out.strip() or "none")
        return page.read_text() if page.suffix == ".html" else printed.out, printed.err

    return answer


def test_the_reference_is_read_only_if_there_is_nothing_else(build, run, monkeypatch):
    build.complete(study="reference/depth")
    assert "reference/depth" in run()[0]
    build.complete(study="my_depth")
    written, said = run()
    assert "my_depth" in written and "reference/depth" not in written
    left_out = "runs/reference is left out because you have runs of your own; to have both, name runs"
    assert said.splitlines()[0] == left_out
    assert "reference/depth" in run("runs/reference")[0] and "my_depth" not in run("runs/reference")[0]
    build.root.rename("elsewhere")
    monkeypatch.setenv("HOME", os.getcwd())
    for folder in ("~/elsewhere", "./x/../elsewhere"):
        monkeypatch.setenv("RESNET_RUNS", folder)
        written, _ = run()
        assert "my_depth" in written and "reference/depth" not in written


def test_requests_that_cannot_be_met_are_answered_in_one_line(build, run):
    no_run = "runs: no run found; `python -m resnet.run model=blocks4` makes one in runs/\n"
    assert run(code=1) == ("", no_run)
    assert run("nowhere", code=2) == ("", "nowhere: no such folder\n")
    Path("file").write_text("")
    build.complete()
    *_, said = run("--out", "file/x", code=2)[1].splitlines()
    assert said.startswith("file/x") and said.endswith(": cannot be written, Not a directory")
