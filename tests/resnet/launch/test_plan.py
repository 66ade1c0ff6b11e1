"""What a sweep prints before, during and after its runs."""

import json
import os
import re
import shutil
import signal
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from resnet.config import Augmentation, Config, Data, Epochs, Model
from resnet.duration import about
from resnet.errors import ConfigError
from resnet.launch.compose import compose_config
from resnet.launch.estimate import Estimator, is_alike, work_of
from resnet.launch.jobs import Job, part_left
from resnet.launch.plan import sentence, share_left, tally
from resnet.launch.progress import listed, place_in_sweep
from resnet.launch.summary import accuracies
from resnet.prepare import prepare
from resnet.record.folder import METRICS, RunFolder
from resnet.train import compile_where_it_pays
from resnet.training.catalogue import CATALOGUE, split_sizes
from resnet.training.data import load
from tests.conftest import hold, small
from tests.resnet.runs import start, wait_for


@pytest.mark.slow
def test_a_plan_says_what_is_left_and_how_long_it_takes_and_writes_nothing(train, tmp_path):
    grid = ("model.shortcut=none,pad", "seed=0,1", "epochs.count=2")
    fresh = train("-m", *grid, "plan=true")
    assert not list(tmp_path.iterdir())
    lines = fresh.stdout.splitlines()
    assert lines[0] == "4 runs of 2 configurations: 4 to do"
    assert lines[2].startswith("timing a few steps")
    assert re.match(r"model.shortcut +runs +parameters +mult-adds +each +left$", lines[4])
    assert re.match(r"none +2 to do +4,962 +0.1 M +\d+ s +\d+ s$", lines[5])
    assert "left on this machine" in lines[-1] and "2 from timed steps" in lines[-1]
    assert max(map(len, lines)) <= 120
    train("model.shortcut=none", "epochs.count=2")
    before = sorted(path for path in tmp_path.rglob("*"))
    lines = train("-m", *grid, "plan=true").stdout.splitlines()
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert lines[0] == "4 runs of 2 configurations: 1 complete, 3 to do"
    assert "1 complete, 1 to do" in lines[5] and "1 from finished runs, 1 from timed steps" in lines[-1]


@pytest.mark.slow
def test_a_plan_of_one_run_says_where_it_was_stopped(train, tmp_path):
    train("epochs.count=4", "data.limit=20")
    (run,) = tmp_path.glob("runs/*/*/seed0")
    (run / "result.json").unlink()
    planned = train("epochs.count=4", "data.limit=20", "plan=true")
    assert "1 run of 1 configuration: 1 stopped" in planned.stdout and "1 stopped at 4/4" in planned.stdout


@pytest.mark.slow
def test_a_stopped_plan_does_not_promise_to_resume(tmp_path):
    with start(
        tmp_path,
        "model=resnet56",
        "model.stages=[9,9,9]",
        "model.width=16",
        "data=cifar10",
        "batch_size=1000",
        "plan=true",
    ) as planning:
        while not (line := planning.stdout.readline()).startswith("timing a few steps"):
            assert line, "it ended early"
        planning.send_signal(signal.SIGINT)
        assert planning.stdout.read().split() == ["stopped"] and planning.wait() == 130


def test_a_plan_says_which_runs_start_over(tmp_path):
    jobs = [digits_job(tmp_path, 1, seed) for seed in (0, 1)]
    complete(jobs[0], 1, 0.5, 0.5)
    assert tally(jobs) == "1 complete, 1 to do"
    for job in jobs:
        job.config = replace(job.config, resume="never")
    assert tally(jobs) == "1 to start over, 1 to do"


def test_a_plan_of_inspections_counts_them():
    assert "1 inspection, which is" in sentence([], 1, 1, False, 0, 0)
    assert "2 inspections, which are" in sentence([], 2, 1, False, 0, 0)


def test_the_catalogues_facts_about_digits_are_true():
    data = load("digits", "unused", 0.1, None)
    facts = CATALOGUE["digits"]
    assert (facts.size, facts.channels, facts.classes) == (data.size, data.channels, len(data.classes))
    assert split_sizes(facts, 0.1, None) == (len(data.train), len(data.val))
    limited = load("digits", "unused", 0.1, 20)
    assert split_sizes(facts, 0.1, 20) == (len(limited.train), len(limited.val))


@pytest.mark.slow
def test_the_catalogues_facts_about_cifar10_are_true(cifar10):
    data, facts = load("cifar10", str(cifar10), 0.1, None), CATALOGUE["cifar10"]
    assert (facts.size, facts.channels, facts.classes) == (data.size, data.channels, len(data.classes))
    assert split_sizes(facts, 0.1, None) == (len(data.train), len(data.val))


def digits_job(folder: Path, blocks: int, seed: int) -> Job:
    config = Config(data=Data("digits"), model=Model(stages=[blocks], width=8), epochs=Epochs(2), seed=seed)
    run = RunFolder(folder / "runs" / "default" / f"blocks{blocks}" / f"seed{seed}")
    overrides = [f"model.stages=[{blocks}]", f"seed={seed}"]
    return Job(overrides, run, False, None, None, "", config)


def test_a_damaged_row_of_one_run_fails_no_other_run_of_the_sweep(tmp_path):
    jobs = [digits_job(tmp_path, 1, seed) for seed in (0, 1, 2)]
    complete(jobs[0], 100, 0.5, 0.5)
    begin(jobs[2])
    (jobs[2].run.path / "metrics.csv").write_text(",".join(METRICS) + "\n1" + ",abc" * 8 + "\n")
    with listed(jobs, 1, tmp_path / "runs"):
        assert place_in_sweep(jobs[1].run, jobs[1].config) == f"2 of 3 · about {about(200)} left"
    assert jobs[2].standing() == "stopped at 0/2"


@pytest.mark.parametrize("epochs", [Epochs(4), Epochs(None, 84)])  # 84 steps are 4 epochs
def test_the_part_left_of_a_run_is_the_same_whether_its_length_is_in_epochs_or_steps(tmp_path, epochs):
    job = digits_job(tmp_path, 1, 0)
    job.config = replace(job.config, epochs=epochs)
    assert part_left(job.run, job.config) == 1
    begin(job)
    (job.run.path / "metrics.csv").write_text(
        "\n".join([",".join(METRICS), *[f"{n}" + "," * 8 for n in (1, 2, 3)]]) + "\n"
    )
    assert part_left(job.run, job.config) == 0.25 and job.standing() == "stopped at 3/4"
    job.run.fail("failed", "no disk", "")
    assert part_left(job.run, job.config) == 0.25
    job.run.fail("diverged", "no number", "")
    assert part_left(job.run, job.config) == 0


def test_finished_runs_predict_only_runs_that_are_computed_alike(tmp_path):
    config = digits_job(tmp_path, 1, 0).config
    work, run = work_of(config), tmp_path / "seed0"
    run.mkdir()
    (run / "config.yaml").write_text(yaml.safe_dump(asdict(config)))
    result = {"precision": "fp32", "data": {"size": 8}, "multiply_adds": work.multiply_adds}
    result |= {"network": work.network.as_dict(), "path": run / "result.json"}
    assert is_alike(result, config, work, "fp32", False)
    others = (replace(config, batch_size=32), replace(config, augmentation=Augmentation(trivial=True)))
    assert not any(is_alike(result, other, work, "fp32", False) for other in others)
    (run / "config.yaml").write_text(yaml.safe_dump(asdict(replace(config, epochs=Epochs(None, 5)))))
    assert not is_alike(result, config, work, "fp32", False), "its last epoch may be incomplete"
    (run / "config.yaml").write_text(yaml.safe_dump(asdict(config)))
    damaged = (result | {"network": None}, {key: value for key, value in result.items() if key != "precision"})
    assert not any(is_alike(other, config, work, "fp32", False) for other in damaged)


def complete(job: Job, seconds: float, val: float, test: float) -> None:
    work = work_of(job.config)
    job.run.path.mkdir(parents=True)
    data = {"train_images": 1293, "val_images": 144}
    figures = {"final": {"val_acc": val}, "test": {"acc": test}, "wall_seconds": seconds}
    result = figures | {"status": "complete", "epochs": 2, "multiply_adds": work.multiply_adds, "data": data}
    (job.run.path / "result.json").write_text(json.dumps(result))


def test_each_run_knows_its_place_in_the_sweep_and_the_time_that_is_left(tmp_path):
    jobs = [digits_job(tmp_path, blocks, seed) for blocks in (1, 4) for seed in (0, 1)]
    with listed(jobs, 1, tmp_path / "runs"):
        assert place_in_sweep(jobs[0].run, jobs[0].config) == "1 of 4", "nothing says yet how long a run takes"
        complete(jobs[0], 100, 0.5, 0.5)
        place, _, left = place_in_sweep(jobs[1].run, jobs[1].config).partition(" · ")
        ratio = work_of(jobs[2].config).total / work_of(jobs[0].config).total
        assert place == "2 of 4" and left == f"about {about(100 + 200 * ratio)} left"
        assert place_in_sweep(RunFolder(tmp_path / "elsewhere"), jobs[0].config) == ""
        with pytest.raises(ConfigError, match="have changed since it began"):
            place_in_sweep(jobs[1].run, replace(jobs[1].config, batch_size=32))
    with listed(jobs, 2, tmp_path / "runs"):  # two at once
        assert place_in_sweep(jobs[1].run, jobs[1].config) == f"2 of 4 · about {about(50 + 100 * ratio)} left"
    assert place_in_sweep(jobs[1].run, jobs[1].config) == "" and "RESNET_SWEEP" not in os.environ


def test_the_time_left_is_estimated_from_runs_shorter_than_an_epoch_too(tmp_path):
    jobs = [digits_job(tmp_path, 1, seed) for seed in (0, 1)]
    for job in jobs:
        job.config = replace(job.config, epochs=Epochs(None, 5))
    complete(jobs[0], 100, 0.5, 0.5)
    with listed(jobs, 1, tmp_path / "runs"):
        assert place_in_sweep(jobs[1].run, jobs[1].config) == f"2 of 2 · about {about(100)} left"


def test_a_run_of_a_large_sweep_looks_at_only_a_few_others(tmp_path, monkeypatch):
    jobs = [digits_job(tmp_path, 1, seed) for seed in range(1000)]
    for job in jobs[300:302]:
        complete(job, 100, 0.5, 0.5)
    looked_at, exists = [], Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: looked_at.append(path) or exists(path))
    with listed(jobs, 1, tmp_path / "runs"):
        looked_at.clear()
        place, _, left = place_in_sweep(jobs[302].run, jobs[302].config).partition(" · ")
        assert place == "303 of 1000" and left == f"about {about(100 * 1000)} left"
        assert len(looked_at) < 1000


def test_a_plan_decides_whether_to_compile_as_the_training_does(tmp_path, monkeypatch):
    config, asked = compose_config(small()), []

    def resolve_compile(wanted, device, bf16, multiply_adds) -> bool:
        asked.append(multiply_adds)
        return False

    monkeypatch.setattr("resnet.train.resolve_compile", resolve_compile)
    monkeypatch.setattr("resnet.launch.estimate.resolve_compile", resolve_compile)
    compile_where_it_pays(RunFolder(tmp_path), prepare(config))
    assert Estimator(tmp_path, threads=1).seconds(config) > 0
    assert len(asked) == 2 and asked[0] == asked[1]


def test_a_stopped_sweep_leaves_the_list_of_its_runs_and_a_finished_one_does_not(tmp_path):
    jobs = [digits_job(tmp_path, 1, seed) for seed in (0, 1, 2)]
    with pytest.raises(KeyboardInterrupt), listed(jobs, 1, tmp_path / "runs"):
        begin(jobs[0])
        raise KeyboardInterrupt
    (file,) = (tmp_path / "runs").glob(".sweeps/*.json")
    jobs[1].reason = "its directory cannot be made"
    with listed(jobs[1:], 1, tmp_path / "runs"):
        jobs[2].run.path.mkdir(parents=True)
        jobs[2].run.fail("failed", "its job died before it began", "")
    assert file.exists(), "a table cannot show a run without a configuration"
    with listed(jobs[1:], 1, tmp_path / "runs"):
        jobs[2].run.begin(jobs[2].config, {})
    assert not file.parent.exists(), "the stopped sweep's list is gone too: its last run has started"


@pytest.mark.slow
def test_the_table_counts_the_runs_of_a_stopped_sweep_that_have_not_started(command, tmp_path):
    sweep = start(tmp_path, "-m", "seed=3,4,5", "data.limit=20", **hold(tmp_path, "seed3/checkpoint.pt"))
    wait_for(tmp_path, "runs/*/*/seed3/checkpoint.pt", sweep)
    sweep.kill()
    sweep.wait()
    assert "2 runs of a sweep have not started" in command("analysis.table", "runs").stdout


def begin(job: Job) -> None:
    job.run.path.mkdir(parents=True)
    (job.run.path / "config.yaml").touch()


def test_configurations_are_told_apart_wherever_their_runs_are(tmp_path):
    jobs = [digits_job(tmp_path, blocks, seed) for blocks in (1, 2) for seed in (0, 1)]
    for number, job in enumerate(jobs):
        job.run = RunFolder(tmp_path / f"flat{number}")
        complete(job, 100 * (1 + number // 2), 0.5 + number / 10, 0.5)
    assert [line.split()[:3] for line in accuracies(jobs)[1:3]] == [["[1]", "2", "55.00%"], ["[2]", "2", "75.00%"]]
    (jobs[3].run.path / "result.json").unlink()
    with listed(jobs, 1, tmp_path):
        assert place_in_sweep(jobs[3].run, jobs[3].config) == f"4 of 4 · about {about(200)} left"


def test_the_accuracies_of_a_sweep_mark_the_best_by_validation(tmp_path):
    jobs = [digits_job(tmp_path, blocks, seed) for blocks in (1, 2, 3) for seed in (0, 1)]
    for job, val, test in zip(jobs, (0.80, 0.82, 0.90, 0.92, 0.99), (0.7, 0.8, 0.9, 0.8, 0.1)):
        complete(job, 1, val, test)
    shutil.rmtree(jobs[4].run.path)
    lines = accuracies(jobs)
    assert lines[0].split() == "model.stages runs val acc test acc".split()
    assert lines[1].split() == "[1] 2 81.00% 75.00%".split()
    assert lines[2] == "[2]                2   91.00%    85.00%  <- best by validation"
    assert lines[3].split() == "[3] 0 of 2 - -".split()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_plan_for_a_cluster_does_not_say_that_runs_wait_for_each_other(elsewhere):
    said = sentence([60.0, 60.0], measured=0, at_once=1, elsewhere=elsewhere, by_runs=1, by_steps=0)
    assert "about 2 min" in said and ("one run after the other" in said) == (not elsewhere)


def start_over(job: Job) -> Job:
    return replace(job, config=replace(job.config, resume="never"))


def test_a_complete_run_that_starts_over_counts_once_it_has_ended_again(tmp_path):
    jobs = [digits_job(tmp_path, 1, seed) for seed in (0, 1)]
    for job in jobs:
        complete(job, 100, 0.5, 0.5)
    again = [replace(start_over(job), ended_before=job.run.ended_at()) for job in jobs]
    assert [job.outcome()[0] for job in again] == ["not started"] * 2 and accuracies(again) == []
    os.utime(again[0].run.path / "result.json", ns=(0, jobs[0].run.ended_at() + 1))  # as if rewritten
    assert [job.outcome()[0] for job in again] == ["complete", "not started"]
    assert accuracies(again)[1].split()[1:] == ["1", "of", "2", "50.00%", "50.00%"]


def test_complete_runs_that_will_start_over_count_as_work_left(tmp_path):
    jobs = [digits_job(tmp_path, 1, seed) for seed in (0, 1, 2)]
    for job in jobs:
        complete(job, 100, 0.5, 0.5)
        os.utime(job.run.path / "result.json", ns=(0, 0))  # before the sweep
    with listed([start_over(job) for job in jobs], 1, tmp_path / "runs"):
        assert place_in_sweep(jobs[0].run, jobs[0].config) == f"1 of 3 · about {about(300)} left"


def test_a_plan_names_what_would_be_refused_and_counts_no_time_for_it(tmp_path):
    job = digits_job(tmp_path, 1, 0)
    begin(job)
    refused = replace(job, reason="the folder holds another run")
    assert refused.standing() == "refused" and share_left(refused) == 0


def test_a_stopped_run_can_be_described_without_its_epochs_or_data(tmp_path):
    job = digits_job(tmp_path, 1, 0)
    begin(job)
    assert replace(job, config=replace(job.config, task="inspect")).standing() == "stopped"
    gone = Data("folder", str(tmp_path / "moved"), pictures="ad972132")
    assert replace(job, config=replace(job.config, data=gone)).standing() == "stopped at 0"


@pytest.mark.parametrize("change", [{"configs": {}}, {"names": None}])
def test_a_list_by_another_version_gives_no_place_in_a_sweep(tmp_path, change):
    jobs = [digits_job(tmp_path, 1, seed) for seed in (0, 1)]
    complete(jobs[0], 100, 0.5, 0.5)
    with listed(jobs, 1, tmp_path / "runs"):
        file = Path(os.environ["RESNET_SWEEP"])
        file.write_text(json.dumps(json.loads(file.read_text()) | change))
        assert place_in_sweep(jobs[1].run, jobs[1].config) == ""


def test_a_sweep_that_ends_keeps_the_list_of_one_that_is_still_running(tmp_path):
    jobs = [digits_job(tmp_path, 1, seed) for seed in (0, 1)]
    for job in jobs:
        begin(job)
    with listed(jobs, 1, tmp_path / "runs"):
        file = Path(os.environ["RESNET_SWEEP"])
        with listed(jobs[:1], 1, tmp_path / "runs"):
            pass
        assert file.exists()
    assert not file.exists()
