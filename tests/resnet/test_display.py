"""What a training displays: lines that fit a terminal, and about how long it takes."""

import logging
import sys
from dataclasses import replace

import pytest

from resnet import display
from resnet.display import LONG, WARM, Pace, describe_epoch, watcher
from resnet.duration import about
from resnet.prepare import prepare
from resnet.record.folder import RunFolder
from resnet.signals import Terminated
from resnet.train import compile_where_it_pays
from tests.resnet.runs import configuration


@pytest.fixture
def clock(monkeypatch):
    """Return the seconds of a clock that the test advances."""
    seconds = [0.0]
    monkeypatch.setattr(display.time, "perf_counter", lambda: seconds[0])
    return seconds


def announcements(pace: Pace, clock: list[float], durations: list[float]) -> list[str]:
    found = []
    for duration in durations:
        found.append(pace.note())
        clock[0] += duration
    return [text for text in found if text]


def test_the_time_left_is_announced_once_and_ignores_the_first_steps(clock):
    pace = Pace(steps=1000, goal="epoch 5")
    slow, steady = [10.0] * WARM, [0.5] * 500
    (text,) = announcements(pace, clock, slow + steady)
    measured = LONG / 0.5  # steps of half a second, until there are enough for an estimate
    assert text == f"about {about((1000 - WARM - measured) * 0.5)} to epoch 5"


def test_a_short_training_announces_nothing(clock):
    assert announcements(Pace(steps=20, goal="epoch 1"), clock, [0.2] * 20) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (59, "59 s"), (90, "2 min"), (3600, "1 h"), (6600, "1 h 50 min"), (86400, "24 h"), (3e5, "3 days")],
)
def test_durations_are_worded_as_people_say_them(seconds, text):
    assert about(seconds) == text


def test_the_line_of_an_epoch_fits_eighty_columns():
    row = {"epoch": 182, "train_loss": 2.30259, "train_acc": 1.0, "val_loss": 12.3456, "val_acc": 0.1, "lr": 1.23456e-5}
    row |= {"train_seconds": 12345.6, "val_seconds": 123.4}
    assert len(describe_epoch(row, 182)) <= 80 and len(describe_epoch(row, 182, brief=True)) <= 40
    assert "val" not in describe_epoch(row | {"val_loss": None, "val_acc": None}, 182)


@pytest.mark.parametrize("signal", [KeyboardInterrupt, Terminated])
def test_a_run_that_is_stopped_while_it_compiles_says_so(signal, tmp_path, monkeypatch, caplog):
    def compile_network(*arguments):
        raise signal

    monkeypatch.setattr("resnet.train.compile_network", compile_network)
    training = prepare(replace(configuration(), compile=True))
    with caplog.at_level(logging.WARNING), pytest.raises(signal):
        compile_where_it_pays(RunFolder(tmp_path / "mine"), training)
    assert f"{tmp_path / 'mine'}: stopped while compiling" in caplog.text


def test_an_announcement_clears_the_progress_bar_first(monkeypatch, capsys):
    pace = Pace(10, "epoch 1")
    monkeypatch.setattr(pace, "note", lambda: "about 3 h")
    monkeypatch.setattr(display.log, "info", lambda text: sys.stderr.write(f"{text}\n"))
    assert list(watcher(1, False, [], pace, "")([("images", "labels")], 1, 1))
    assert capsys.readouterr().err.split("about 3 h")[0].endswith("\r")
