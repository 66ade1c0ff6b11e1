"""Made-up inspections, lesions and probes before training that follow the documented file formats exactly."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.analysis.conftest import LAYERS

CURVATURE = "eigenvalue,residual,iterations,converged\n"


def layer_rows(stages: Sequence[int], growth: float, epoch: int = 0, ratio: float | None = None) -> str:
    """Return layers.csv's rows: gradients grow layer by layer towards the input and jump where a stage begins.

    Weights are twice as large in each stage as in the one before it. The second block's projection, under its names
    with and without batch norm, must not count.
    """
    count = 1 + 2 * sum(stages)
    rows = [(1, "stem", 0, "")]
    for stage, blocks in enumerate(stages, start=1):
        for _ in range(blocks):
            block = (len(rows) - 1) // 2
            rows += [(stage, f"blocks.{block}.conv{i}", stage, ratio if i == 2 and ratio else "") for i in (1, 2)]
    text = ""
    for place, (_, name, stage, ratio_text) in enumerate(rows, start=1):
        norm = growth ** (count - place) * 3**stage
        text += f"{epoch},{place},{name},{stage},{norm},{2**stage},1.0,{ratio_text}\n"
    return text + "".join(f"{epoch},{count + 1},blocks.1.{name},2,1e9,1.0,,\n" for name in ("shortcut", "shortcut.0"))


@pytest.fixture
def inspect(build) -> Callable[..., Path]:
    """Return a function that writes a complete inspection; an `eigenvalue` of None did not converge."""

    def write(seed=0, blocks=4, growth=1.2, cosine=0.5, eigenvalue=20.0, **settings) -> Path:
        stages = settings.setdefault("model.stages", [blocks] * 3)
        settings.setdefault("model.name", f"blocks{sum(stages)}")
        path = build.complete(seed, settings.pop("study", "initialization"), task="inspect", **settings)
        (path / "metrics.csv").unlink()
        result = '{"status": "complete", "task": "inspect", "parameters": 100, "multiply_adds": 1000, "seed": %d}'
        (path / "result.json").write_text(result % seed)
        (path / "layers.csv").write_text(LAYERS + layer_rows(stages, growth, ratio=1.5))
        steps = (0.025, 0.5, 1.0)
        rows = [f"{distance},{cosine * (1 - distance) / 0.975}\n" for distance in steps]
        (path / "cosines.csv").write_text("distance,cosine\n" + "".join(rows))
        row = "99.0,0.5,40,False" if eigenvalue is None else f"{eigenvalue},0.001,12,True"
        (path / "curvature.csv").write_text(f"{CURVATURE}{row}\n")
        return path

    return write


@pytest.fixture
def write_probes() -> Callable[..., None]:
    """Return a function that writes a run's layers.csv, with residual ratios before and after training."""

    def write(path: Path, stages: Sequence[int], before: float | None, after: float | None) -> None:
        looks = ((0, before), (1, after), (2, after))
        rows = "".join(layer_rows(stages, 1.2, epoch, ratio) for epoch, ratio in looks)
        (path / "layers.csv").write_text(LAYERS + rows)

    return write


@pytest.fixture
def write_lesions() -> Callable[..., None]:
    """Return a function that writes lesions.csv: accuracies without each block, and with each swapped with the next."""

    def write(path: Path, removed: Sequence[float], swapped: Sequence[float] = (), intact: float | None = 0.9) -> None:
        rows = [] if intact is None else [f"none,,0.3,{intact}\n"]
        for lesion, accuracies in (("remove", removed), ("swap", swapped)):
            rows += [f"{lesion},{block},1.0,{accuracy}\n" for block, accuracy in enumerate(accuracies)]
        (path / "lesions.csv").write_text("lesion,block,loss,accuracy\n" + "".join(rows))

    return write
