"""The benchmark runs and says what it promises; how fast anything is, no test asks."""

import csv

import pytest

from resnet.benchmark.bench import STEPS, Bench


@pytest.mark.slow
def test_it_measures_the_four_speeds_one_beside_the_other(command, tmp_path):
    done = command("resnet.benchmark", "model.stages=[1]", "model.width=8", "batch_size=16", "device=cpu")
    assert "imports" in done.stdout and "start and composition" in done.stdout and "peak memory" in done.stdout
    with open(tmp_path / "benchmark-speed.csv", newline="") as file:
        rows = {row["what"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["tutorial", "ours", "compute only", "limit"]
    for row in rows.values():
        ratio = int(rows["ours"]["images/s"]) / int(row["images/s"])
        assert float(row["ours / it"]) == pytest.approx(ratio, rel=0.02)


def test_an_epoch_has_all_the_steps_that_are_measured():
    assert Bench(["batch_size=512"]).steps_per_epoch == STEPS


@pytest.mark.parametrize(
    "argument, answer",
    [
        ("fast", "fast: must be one of speed, "),
        ("batch_size=0", "batch_size=0: must lie"),
        ("model=none", "model=none: "),
    ],
)
def test_a_wrong_argument_is_answered_in_a_line(command, argument, answer):
    done = command("resnet.benchmark", argument, code=2)
    assert done.stderr.startswith(f"error: {answer}") and done.stderr.count("\n") == 1
