"""Runs with a tracker, in separate processes and offline, read back with the tracker's own reader."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from resnet.config import run_name
from resnet.launch.compose import compose_config
from resnet.record.trackers import Tracker
from tests.conftest import hold, small
from tests.resnet import runs
from tests.resnet.runs import assert_same, only

OFFLINE = {"WANDB_MODE": "offline"}
FIGURES = "lr train_loss train_acc val_loss val_acc train_seconds val_seconds images_per_second".split()


@pytest.fixture(params=["tensorboard", "wandb"])
def tracker(request) -> str:
    """Return the name of each tracker that is installed."""
    pytest.importorskip(request.param)
    return request.param


def rows(run: Path) -> list[dict[str, float]]:
    return [{name: float(text) for name, text in row.items()} for row in runs.read(run / "metrics.csv")]


def shown(run: Path) -> list[tuple[str, float, float]]:
    """Return name, epoch and value of each number that the run's tracker received, in order."""
    if (run / "wandb").exists():
        history = [record["history"]["item"] for record in records(run) if record["type"] == "history"]
        return [(name, item["_step"], item[name]) for name in FIGURES for item in history]
    events = accumulated(run)
    return [(name, event.step, event.value) for name in FIGURES for event in events.Scalars(name)]


def written(run: Path) -> list[tuple[str, float, float]]:
    """Return the same from metrics.csv, to the seven digits that TensorBoard keeps."""
    return [(name, row["epoch"], pytest.approx(row[name], rel=1e-6)) for name in FIGURES for row in rows(run)]


def configuration(run: Path) -> dict:
    """Return the configuration in config.yaml, without its identity and choices."""
    content = yaml.safe_load((run / "config.yaml").read_text())
    return {key: value for key, value in content.items() if key not in ("identity", "choices")}


def accumulated(run: Path):
    """Return what TensorBoard reads from the run's folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(run / "tensorboard")).Reload()


def inspect(run: Path, *options: str) -> str:
    """Return what wandb reads from the run's only offline folder."""
    (folder,) = (run / "wandb").glob("offline-run-*")
    command = (sys.executable, "-m", "wandb", "leet", "inspect", folder, "--json", *options)
    return subprocess.run(command, env=os.environ | OFFLINE, check=True, capture_output=True, text=True).stdout


def records(run: Path) -> list[dict]:
    return [json.loads(line) for line in inspect(run).splitlines()]


def test_a_tracker_gets_the_rows_of_metrics_and_does_not_change_the_run(train, tmp_path, tracker, digits_run):
    train("epochs.count=3", f"logger={tracker}", env=OFFLINE)
    run = only(tmp_path)
    assert shown(run) == written(run)
    assert {path.name for path in run.iterdir()} - {path.name for path in digits_run.iterdir()} == {tracker}
    assert [path.name for path in tmp_path.iterdir()] == ["runs"] and run.parent.name == digits_run.parent.name
    assert_same(run, digits_run)


def test_tensorboard_has_the_configuration_and_the_final_results(train, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    train("logger=tensorboard")
    events, result = accumulated(only(tmp_path)), json.loads((only(tmp_path) / "result.json").read_text())
    (text,) = events.Tensors("config/text_summary")
    assert yaml.safe_load(text.tensor_proto.string_val[0].decode().strip("`")) == configuration(only(tmp_path))
    for name in ("test/acc", "final/val_acc", "best/val_acc"):
        part, key = name.split("/")
        assert [(event.step, event.value) for event in events.Scalars(name)] == [(2, pytest.approx(result[part][key]))]
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    chosen = HParamsPluginData.FromString(content).session_start_info.hparams
    assert chosen["model.stages"].string_value == "[1, 1]" and chosen["optimizer.lr"].number_value == 0.001


def test_wandb_has_the_configuration_and_the_final_results(train, tmp_path):
    pytest.importorskip("wandb")
    train("logger=wandb", "study=mine", env=OFFLINE)
    run, summary = only(tmp_path), json.loads(inspect(only(tmp_path), "--summary"))
    result = json.loads((run / "result.json").read_text())
    assert summary["config"] == configuration(run)
    assert (summary["project"], summary["name"]) == ("resnet-depth", f"{run.parent.name}/{run.name}")
    assert (summary["state"], summary["run_id"]) == ("finished", (run / "wandb" / "id").read_text())
    for name in ("test/acc", "test/loss", "final/val_acc", "best/val_acc"):
        part, key = name.split("/")
        assert summary["summary"][name] == result[part][key]
    assert summary["summary"]["parameters"] == result["parameters"]


@pytest.mark.parametrize("chosen, project", [({}, "resnet-depth"), ({"WANDB_PROJECT": "mine"}, "mine")])
def test_wandb_is_told_the_project_and_the_study(tmp_path, monkeypatch, chosen, project):
    """Tested with a stand-in: the package may not be installed."""
    told = {}
    monkeypatch.setitem(
        sys.modules, "wandb", SimpleNamespace(init=lambda **options: told.update(options), Settings=dict)
    )
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    Tracker("wandb", tmp_path).start({"study": "deep"}, [])
    assert (told["project"], told["group"], told["config"]) == (project, "deep", {"study": "deep"})


def start(folder: Path, *overrides: str) -> subprocess.Popen:
    """Start a run; return when it has recorded two epochs, where it pauses until a signal or `go_on`."""
    held = hold(folder, "checkpoint.previous.pt")
    process = runs.start(folder, "data.limit=30", *overrides, **OFFLINE, **held)
    runs.wait_for(folder, "runs/*/*/*/checkpoint.previous.pt", process)
    return process


def go_on(folder: Path) -> None:
    (folder / "hold").unlink()


@pytest.mark.parametrize("signum", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_resumed_run_continues_its_tracker(train, tmp_path, tracker, signum):
    process = start(tmp_path, f"logger={tracker}", "epochs.count=30")
    process.send_signal(signum)
    process.communicate()
    go_on(tmp_path)
    begun, ids = len(rows(only(tmp_path))), [path.read_text() for path in only(tmp_path).glob("wandb/id")]
    assert 2 <= begun < 30
    assert "resuming after epoch" in train("data.limit=30", f"logger={tracker}", "epochs.count=30", env=OFFLINE).stdout
    run = only(tmp_path)
    assert shown(run) == written(run) and len(rows(run)) == 30, "each epoch once"
    assert [path.read_text() for path in run.glob("wandb/id")] == ids
    if tracker == "wandb":
        assert json.loads(inspect(run, "--summary"))["run_id"] == ids[0]


@pytest.mark.slow
def test_a_tracker_chosen_on_resume_gets_the_earlier_epochs(train, tmp_path, tracker):
    train()
    run = only(tmp_path)
    (run / "result.json").unlink()
    config = yaml.safe_load((run / "config.yaml").read_text())
    del config["logger"]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert "resuming after epoch 2" in train(f"logger={tracker}", env=OFFLINE).stdout
    assert shown(only(tmp_path)) == written(run) and len(rows(run)) == 2


@pytest.mark.slow
def test_a_run_that_starts_over_is_a_new_one_for_the_tracker(train, tmp_path, tracker):
    for resume in ("auto", "never"):
        train("epochs.count=1", f"logger={tracker}", f"resume={resume}", env=OFFLINE)
    run = only(tmp_path)
    assert shown(run) == written(run)
    assert shown(run / ".archive" / "1") == written(run / ".archive" / "1")
    if tracker == "wandb":
        assert (run / "wandb" / "id").read_text() != (run / ".archive" / "1" / "wandb" / "id").read_text()


def one_warning(output: str, tracker: str) -> bool:
    """Return whether the run warned once that its tracker failed, and completed."""
    warnings = [line for line in output.splitlines() if line.endswith("; the run continues without it")]
    told = len(warnings) == 1 and warnings[0].startswith(f"logger={tracker}: ")
    return told and "Traceback" not in output and "complete, test accuracy" in output


def test_a_file_in_place_of_the_trackers_folder_is_a_warning(train, tmp_path, tracker):
    run = tmp_path / "runs" / "default" / run_name(compose_config(small())) / "seed0"
    run.mkdir(parents=True)
    (run / tracker).write_text("not a folder")
    done = train(f"logger={tracker}", env=OFFLINE)
    assert one_warning(done.stdout + done.stderr, tracker), done.stdout + done.stderr
    assert len(rows(run)) == 2 and (run / tracker).read_text() == "not a folder"


def test_wandb_dying_mid_run_is_a_warning(tmp_path):
    """Its helper process is killed, as on a machine short of memory."""
    pytest.importorskip("wandb")
    process = start(tmp_path, "logger=wandb", "epochs.count=30")
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    go_on(tmp_path)
    output = process.communicate()[0]
    assert process.returncode == 0 and one_warning(output, "wandb"), output
    assert len(rows(only(tmp_path))) == 30


def test_a_full_disk_under_tensorboard_is_a_warning(tmp_path, capfd, caplog):
    """There is no traceback on standard error, and no exception that would disturb the training."""
    pytest.importorskip("tensorboard")
    row = {"epoch": 1, "train_loss": 1.0}
    with Tracker("tensorboard", tmp_path) as tracker:
        tracker.start({"seed": 0}, [])
        tracker.chosen.path.unlink()
        tracker.chosen.path.symlink_to("/dev/full")
        tracker.log(row)
        tracker.log(row)
    (warning,) = caplog.messages
    assert "No space left on device" in warning and "Traceback" not in capfd.readouterr().err
