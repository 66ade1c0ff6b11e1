"""The project as a whole: what it must not import, its docstrings, and the wheel it installs from."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(module: Path) -> set[str]:
    """Return the packages that a module imports anywhere."""
    nodes = [*ast.walk(ast.parse(module.read_text(encoding="utf-8")))]
    names = [name.name for node in nodes if isinstance(node, ast.Import) for name in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("package, other", [("resnet", "analysis"), ("analysis", "resnet"), ("analysis", "torch")])
def test_the_packages_share_nothing_but_files(package, other):
    assert not [module for module in modules(package) if other in imported(module)]


def test_only_what_launches_runs_knows_hydra():
    own = {ROOT / "resnet/run.py", *modules("resnet/launch")}
    others = {*modules("resnet"), *modules("analysis")} - own
    assert not [module for module in others if imported(module) & {"hydra", "omegaconf"}]


def test_every_module_and_public_definition_has_a_docstring():
    for module in modules("resnet") + modules("analysis"):
        tree = ast.parse(module.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), module
        for node in tree.body:
            if (
                isinstance(node, (ast.FunctionDef, ast.ClassDef))
                and not node.name.startswith("_")
                and node.name != "main"
            ):
                assert ast.get_docstring(node), f"{module}: {node.name}"


@pytest.mark.slow
def test_a_wheel_runs_outside_the_checkout(tmp_path):
    """Build it as pip does, and run it where only its own files can be found."""
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # leftovers of an earlier build would be packed too
    subprocess.run((*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path, ROOT), check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    subprocess.run((*pip, "install", "--no-deps", "--target", site, wheel), check=True, capture_output=True)
    # An editable install would supply what the wheel lacks.
    (site / "sitecustomize.py").write_text(
        "import sys\nsys.meta_path[:] = [f for f in sys.meta_path if 'Editable' not in getattr(f, '__name__', '')]\n"
    )
    run = (sys.executable, "-m", "resnet.run", "data=digits", "model.width=8", "epochs=smoke", "experiment=quickstart")
    done = subprocess.run(
        (*run, "model=blocks3", "seed=0"), cwd=tmp_path, env={"PYTHONPATH": str(site)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (("table", "--published"), ("report", "--out", "report.html")):  # these need files other than code
        command = (sys.executable, "-m", f"analysis.{words[0]}", "runs", *words[1:])
        done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(site)}, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    program = "import resnet.run, analysis.frames.experiments as own; print(resnet.run.CONF, own.CONF, sep='\\n')"
    where = subprocess.run(
        (sys.executable, "-c", program),
        cwd=tmp_path, env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.splitlines() == [str(site / "resnet" / "conf")] * 2
