"""Searches, hydra/sweeper=search: the real Optuna on very small networks."""

import json
import re
from types import SimpleNamespace

import hydra
import pytest
import yaml
from omegaconf import OmegaConf

from resnet.config import Config
from resnet.errors import ConfigError
from resnet.launch.jobs import Job
from resnet.record.folder import RunFolder
from tests.resnet.runs import summary

pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason='needs pip install -e ".[search]"')
pytestmark = [
    pytest.mark.skipif(not hydra.__version__.startswith("1.3."), reason="the Optuna sweeper needs Hydra 1.3"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:optuna"),  # its version 2 uses SQLAlchemy's old interface
]
SEARCH = ("-m", "hydra/sweeper=search", "optimizer.lr=tag(log,interval(1e-3,1e-1))", "epochs.count=1", "data.limit=20")


@pytest.mark.slow
def test_a_search_finds_the_highest_accuracy_and_repeating_it_retrains_nothing(train, tmp_path):
    first = train(*SEARCH, "hydra.sweeper.n_trials=2")
    assert "alembic" not in first.stdout + first.stderr and "A new study" not in first.stderr
    ends = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/default/*/seed0/result.json")}
    assert len(ends) == 2
    again = train(*SEARCH, "hydra.sweeper.n_trials=3")
    assert again.stdout.count("already there") == 2, "its fixed seed proposes the same runs"
    results = {path: json.loads(path.read_text()) for path in tmp_path.glob("runs/default/*/seed0/result.json")}
    assert len(results) == 3 and all(path.stat().st_mtime_ns == end for path, end in ends.items())
    best = max(results, key=lambda path: results[path]["final"]["val_acc"])
    found = yaml.safe_load((tmp_path / "runs" / "default" / "optimization_results.yaml").read_text())
    assert found["best_value"] == results[best]["final"]["val_acc"]
    written = yaml.safe_load((best.parent / "config.yaml").read_text())["optimizer"]["lr"]
    ties = [r for r in results.values() if r["final"]["val_acc"] == found["best_value"]]
    assert found["best_params"]["optimizer.lr"] == pytest.approx(written) or len(ties) > 1
    assert re.search(r"optimizer.lr +runs +val acc +test acc", again.stdout) and "<- best by validation" in again.stdout
    assert again.stdout.splitlines()[-1] == "next: python -m analysis.table runs/default"
    assert len(summary(tmp_path)) == 3, "a study like any other"


@pytest.mark.slow
def test_a_failing_run_is_a_bad_trial_and_does_not_end_the_search(train, tmp_path):
    grid = ("batch_size=5000,64", "epochs.count=1", "data.limit=20")
    done = train("-m", *SEARCH[1:2], "hydra.sweeper.n_trials=3", *grid)
    assert "Traceback" not in done.stdout + done.stderr and "batch_size=5000: must be at most" in done.stdout
    assert "3 of 3: " in done.stdout and len(list(tmp_path.glob("runs/*/*/*/result.json"))) == 1


@pytest.mark.slow
def test_two_values_that_do_not_go_together_are_a_bad_trial(train, tmp_path):
    space = ("optimizer=choice(adam,sgd)", "optimizer.momentum=choice(0,0.9)", "hydra.sweeper.n_trials=8")
    done = train("-m", "hydra/sweeper=search", *space, "epochs.count=1", "data.limit=20")
    assert "8 of 8: " in done.stdout and "momentum and nesterov belong to optimizer=sgd" in done.stdout
    assert not done.stderr and list(tmp_path.glob("runs/*/*/*/result.json"))


def test_a_killed_worker_fails_only_the_runs_that_are_not_complete(tmp_path):
    from resnet.launch.search import Search

    jobs = [Job([name], RunFolder(tmp_path / name), False, None, None, "", Config()) for name in ("done", "killed")]

    def launch(overrides, initial_job_idx):
        jobs[0].run.path.mkdir()
        jobs[0].run.complete({"status": "complete", "final": {"val_acc": 0.5}, "test": {"acc": 0.4}}, {})
        raise RuntimeError("a worker was killed")

    search = Search.__new__(Search)
    search.real_launcher, search.jobs = SimpleNamespace(launch=launch), {job.run.path: job for job in jobs}
    returns = search._launch(jobs, 0)
    assert [returned.status.name for returned in returns] == ["COMPLETED", "FAILED"]
    assert returns[0].return_value == 0.5 and jobs[1].outcome() == ("failed", "RuntimeError: a worker was killed")


@pytest.mark.parametrize("space", [["seed=0,1,2", "batch_size=64"], ["seed=range(3)"]])
def test_a_search_for_the_luckiest_seed_is_refused(space):
    from resnet.launch.search import check_seeds

    with pytest.raises(ConfigError, match="the luckiest would win; add seed=0"):
        check_seeds(space)
    check_seeds([*space, "seed=3"])


@pytest.mark.parametrize("argument", ["optimizer.lr=tag(log,interval(0,1e-1))", "model=glob(resnet*)"])
def test_a_value_that_cannot_be_sampled_is_refused(argument):
    from resnet.launch.search import check_space

    with pytest.raises(ConfigError, match=f"^{re.escape(argument)}: cannot be searched: ."):
        check_space(["seed=0", argument])


@pytest.mark.parametrize(
    "change, answer",
    [
        ({"n_jobs": 0}, "hydra.sweeper.n_jobs=0: must be at least 1"),
        ({"direction": "up"}, "hydra.sweeper.direction=up: must be one of maximize, minimize"),
    ],
)
def test_a_search_without_a_worker_or_a_valid_direction_is_refused(change, answer):
    from resnet.launch.search import check_study

    sweeper = {"n_trials": 3, "n_jobs": 1, "direction": "maximize"}
    check_study(OmegaConf.create(sweeper))
    with pytest.raises(ConfigError, match=f"^{answer}$"):
        check_study(OmegaConf.create(sweeper | change))


@pytest.mark.parametrize(
    "argument, answer",
    [
        ("plan=true", "plan=true: a search chooses its 20 runs as it goes"),
        pytest.param(
            "resume=never",
            "resume=never: a search that is repeated would train all of its runs again",
            marks=pytest.mark.slow,
        ),
        ("optimizer.lr=interval(200,300)", "optimizer.lr=2"),
        pytest.param("task=inspect", "task=inspect: has no accuracy to search for", marks=pytest.mark.slow),
        pytest.param(
            "data.val_fraction=choice(0)",
            "data.val_fraction=0: a search looks for the highest validation accuracy",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "seed=0,1",
            "seed=0,1: a search takes one seed, among several the luckiest would win; add seed=0",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "optimizer.lr=interval(1,0.1)", "optimizer.lr=interval(1,0.1): cannot be searched: ", marks=pytest.mark.slow
        ),
        pytest.param(
            "hydra.sweeper.n_trials=0", "hydra.sweeper.n_trials=0: must be at least 1", marks=pytest.mark.slow
        ),
        ("hydra.sweeper.params={seed: '3'}", "hydra.sweeper.params: no such key"),
    ],
)
def test_a_search_that_cannot_run_says_why(train, tmp_path, argument, answer):
    done = train(*SEARCH, argument, code=2)
    assert done.stderr.startswith(f"error: {answer}") and len(done.stderr.splitlines()) == 1
    assert not done.stdout and not (tmp_path / "runs").exists()
