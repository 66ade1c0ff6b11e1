"""The notebook docs/tour.ipynb: it runs from anywhere, its claims hold, and it prints what is committed."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
TOUR = ROOT / "docs" / "tour.ipynb"
EXACT = "exact"  # the tag of a cell whose text output is the same on every machine
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def cells() -> list[Any]:
    return nbformat.read(TOUR, as_version=4).cells


def code_cells(all_cells: list[Any]) -> list[Any]:
    return [cell for cell in all_cells if cell.cell_type == "code"]


def texts(cell: Any) -> str:
    """Return what a cell prints and returns, as text."""
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)


@pytest.mark.slow
def test_every_cell_runs_and_prints_what_is_committed(tmp_path, monkeypatch):
    """Every claim of the notebook that can fail is an assertion in a cell, which would fail this test."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    committed = code_cells(cells())
    notebook = nbformat.read(TOUR, as_version=4)
    client = NotebookClient(notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.execute()
    executed = code_cells(notebook.cells)
    exact = [pair for pair in zip(committed, executed) if EXACT in pair[0].metadata.get("tags", [])]
    assert exact
    for before, after in exact:
        assert texts(after) == texts(before), before.source
    for before, after in zip(committed, executed):
        assert set(map(kinds, after.outputs)) == set(map(kinds, before.outputs)), before.source
    assert [path.name for path in tmp_path.iterdir()] in ([], ["jupyter"]), "it must leave no runs where it is opened"


def kinds(output: Any) -> tuple[str, ...]:
    """Return the kind of an output: its type, the name of a stream, and the formats of what is shown."""
    return (output.output_type, output.get("name", ""), *sorted(output.get("data", {})))


def test_the_committed_notebook_was_executed_once_from_top_to_bottom():
    code = code_cells(cells())
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_the_committed_notebook_names_no_machine_and_no_time():
    notebook = json.loads(TOUR.read_text(encoding="utf-8"))
    assert notebook["metadata"] == {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for cell in notebook["cells"]:
        assert set(cell["metadata"]) <= {"tags"}
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr", output
            text = json.dumps({kind: data for kind, data in output.get("data", {}).items() if kind != "image/png"})
            assert not re.search(r"/(home|root|tmp|usr|var|work|Users)/", text + json.dumps(output.get("text", "")))


@pytest.mark.parametrize("package", ["resnet", "analysis"])
def test_short_names_resolve_and_import_nothing_slow_until_used(package):
    program = (
        f"import sys, {package}\n"
        "assert not {'torch', 'matplotlib', 'pandas', 'scipy'} & set(sys.modules)\n"
        f"print([getattr({package}, name).__name__ for name in {package}.__all__] == {package}.__all__)"
    )
    done = subprocess.run((sys.executable, "-c", program), cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_the_design_lists_every_short_name():
    import analysis
    import resnet

    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    for package in (resnet, analysis):
        for name in package.__all__:
            assert re.search(rf"`{package.__name__}\.{name}\b", design), name
