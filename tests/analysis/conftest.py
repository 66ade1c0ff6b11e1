"""Made-up run folders in exactly the documented formats, so that tests know what must be read from them."""

import importlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import analysis
from resnet.config import Augmentation, Config, from_plain, identity, run_name

HEAD = "epoch,lr,train_loss,train_acc,val_loss,val_acc,train_seconds,val_seconds,images_per_second\n"
LAYERS = "epoch,layer,name,stage,grad_norm,weight_norm,response_std,residual_ratio\n"

Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml's is faster, but not always built

CONFIG = Config(augmentation=Augmentation(flip=True, crop_padding=4))  # what commands compose by default


class Builder:
    """Write run folders below `root`, the `runs` of the working directory."""

    def __init__(self, root: Path):
        self.root = root

    def begin(
        self, seed: int = 0, study: str = "depth", done: int = 0, choices: dict[str, str] | None = None, **settings: Any
    ) -> Path:
        """Write an unfinished run with `done` epochs; settings have dotted keys. Return its folder."""
        content = asdict(CONFIG) | {"seed": seed, "study": study}
        for key, value in settings.items():
            *group, name = key.split(".")
            (content[group[0]] if group else content)[name] = value
        config = from_plain(content)
        path = self.root / study / run_name(config) / f"seed{seed}"
        path.mkdir(parents=True)
        if choices is None:
            choices = {group: content[group]["name"] for group in ("model", "optimizer")}
        content |= {"identity": identity(config), "choices": choices}
        (path / "config.yaml").write_text(yaml.dump(content, Dumper=Dumper, sort_keys=False))
        rows = [f"{epoch},0.001,{2 / epoch},0.5,{2.5 / epoch},0.4,10.5,1.25,4000.0\n" for epoch in range(1, done + 1)]
        (path / "metrics.csv").write_text(HEAD + "".join(rows))
        return path

    def complete(self, seed: int = 0, study: str = "depth", **settings: Any) -> Path:
        """Write a complete run; `test`, `val` and `train` are its accuracies. Return its folder."""
        test, val, train = (settings.pop(name, default) for name, default in DEFAULT_ACCURACIES)
        epochs = settings.get("epochs.count", 20) or 3
        path = self.begin(seed, study, done=epochs, **settings)
        stages = settings.get("model.stages", [2, 2])
        figures = {
            "train_loss": 0.4,
            "train_acc": train,
            "val_loss": None if val is None else 0.5,
            "val_acc": val,
        }
        result = {
            "status": "complete",
            "network": {"stages": stages, "classes": 10, "channels": 3},
            "blocks": sum(stages),
            "parameters": 170410 if stages == [2, 2] else 1860522,
            "multiply_adds": 72190000 if stages == [2, 2] else 275610000,
            "seed": seed,
            "epochs": epochs,
            "final": {"epoch": float(epochs), **figures},
            "best": None if val is None else {"epoch": 17.0, "val_loss": 0.5, "val_acc": val},
            "test": {"loss": 0.5, "acc": test, "images": 10000, "per_class_acc": {}, "confusion": []},
            "precision": "bf16",
            "device": "cpu",
            "wall_seconds": 235.0,
        }
        (path / "result.json").write_text(json.dumps(result))
        return path

    def fail(self, seed: int = 0, status: str = "failed", start: Any = None, **settings: Any) -> Path:
        """Write a run that failed or diverged in its fourth epoch and recorded `start`. Return its folder."""
        path = self.begin(seed, done=3, **settings)
        if start is not None:
            (path / "starts.jsonl").write_text(json.dumps(start) + "\n")
        failure = {"status": status, "error": "out of memory", "traceback": "…", "epoch": 4, "step": 1200}
        (path / "failure.json").write_text(json.dumps(failure | {"time": "2026-01-01T00:00:00+00:00"}))
        return path

    def look_inside(self, path: Path, layers: int = 5, epochs: int = 3, first: float = 1.0, last: float = 1.0) -> None:
        """Write layers.csv, with a projection; gradient norms go from `first` to `last` over the layers."""
        rows = []
        for epoch in range(epochs + 1):
            for layer in range(1, layers + 1):
                norm = first * (last / first) ** ((layer - 1) / (layers - 1))
                rows.append(f"{epoch},{layer},blocks.{layer}.conv1,1,{norm},{epoch + 2},{1 / layer},")
            rows.append(f"{epoch},{layers + 1},blocks.{layers}.shortcut,1,50.0,1.0,,")
        (path / "layers.csv").write_text(LAYERS + "\n".join(rows) + "\n")

    def amend(self, path: Path, **entries: Any) -> None:
        """Set entries of a run's result."""
        result = json.loads((path / "result.json").read_text())
        (path / "result.json").write_text(json.dumps(result | entries))

    def add(self, path: Path, key: str, value: Any, identity: bool = True) -> None:
        """Add a dotted key that the schema lacks to a run's configuration and, if `identity`, to its identity."""
        config = yaml.safe_load((path / "config.yaml").read_text())
        *groups, name = key.split(".")
        for place in (config, config["identity"])[: 1 + identity]:
            for group in groups:
                place = place.setdefault(group, {})
            place[name] = value
        (path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def make_old(self, path: Path, *lacking: str) -> None:
        """Remove from a run what versions without identities did not write, and the dotted keys in `lacking`."""
        config = yaml.safe_load((path / "config.yaml").read_text())
        del config["identity"], config["choices"]
        for group, name in (key.split(".") for key in lacking):
            del config[group][name]
        (path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def classify(self, path: Path, classes: Sequence[str] = ("cat", "dog", "frog")) -> None:
        """Add a confusion matrix to a result: of 100 images of class i, counted from 0, 90 - i are right."""
        hits = {name: 90 - place for place, name in enumerate(classes)}
        lines = [[hits[true] if true == name else 0 for name in classes] for true in classes]
        for place, line in enumerate(lines):
            line[(place + 1) % len(classes)] = 10 + place
        result = json.loads((path / "result.json").read_text())
        result["test"] |= {"per_class_acc": {name: n / 100 for name, n in hits.items()}, "confusion": lines}
        (path / "result.json").write_text(json.dumps(result))


DEFAULT_ACCURACIES = (("test", 0.83), ("val", 0.84), ("train", 0.86))


@pytest.fixture
def build(tmp_path, monkeypatch) -> Builder:
    """Return a builder, with the folder of its `runs` as the working directory."""
    monkeypatch.chdir(tmp_path)
    return Builder(tmp_path / "runs")


def figure(name: str, **options: str) -> Any:
    """Return a figure of the only study under runs; `options` say which axes go where."""
    from analysis.figures.roles import PlotOptions

    return analysis.draw(*analysis.load_studies(["runs"]), name, PlotOptions(**options))


def sentences(*best: str, folder: str = "runs") -> dict[str, list[str]]:
    """Return, by topic, what is said of the only study under a folder, with the axes in `best` at their best values."""
    from analysis.claims.findings import find
    from analysis.claims.wording import by_topic

    (study,) = analysis.load_studies([folder], best)
    return by_topic(find(study))


@pytest.fixture(scope="session")
def scripts() -> Iterator[Callable[[str], ModuleType]]:
    """Return a function that imports a script of docs/."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "docs"))
        yield importlib.import_module


def rows(markdown: str) -> list[dict[str, str]]:
    """Return the rows of all tables in a Markdown text, as dicts by column."""
    found, head = [], None
    for line in markdown.splitlines():
        cells = [cell.strip() for cell in line[1:-1].split(" | ")] if line.startswith("|") else None
        if cells and head and not re.fullmatch("[-:| ]+", line):
            found.append(dict(zip(head, cells)))
        head = (head or cells) if cells else None
    return found


@pytest.fixture
def terminal(monkeypatch) -> Callable[..., None]:
    """Return a function that makes standard output a terminal of some width."""

    def widen(columns: int = 100) -> None:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))

    return widen


@pytest.fixture
def table(build, capsys):
    """Return a function that runs the table's command line, checks its exit code and returns what it printed."""
    from analysis.table import main

    def answer(*arguments: object, code: int = 0) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == code
        printed = capsys.readouterr()
        return printed.out if code == 0 else printed.err

    return answer
