"""Pictures and progress bars: whatever goes wrong with them, the run continues."""

import io
import json
import os
import sys

import pytest
from tqdm import tqdm

from resnet.bar import BAR_OUTPUT
from resnet.errors import drop_output
from resnet.record import pictures
from resnet.record.folder import RunFolder
from resnet.train import write_picture

ROWS = [{"epoch": epoch, "train_loss": 1.0, "train_acc": 0.5, "val_loss": None, "val_acc": None} for epoch in (1, 2)]


@pytest.mark.slow
def test_a_foreign_backend_and_matplotlibrc_and_a_closed_error_stream_do_not_stop_a_run(train, tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nbackend: nonsense\naxes.grid: nonsense\n")
    odd = {"MPLBACKEND": "module://nowhere.inline", "MATPLOTLIBRC": str(tmp_path)}
    train("epochs.count=1", "progress=bar", env=odd, preexec_fn=lambda: os.close(2))
    (run,) = tmp_path.glob("runs/*/*/seed0")
    assert (run / "curves.png").stat().st_size > 5000 and (run / "samples.png").exists()
    assert json.loads((run / "result.json").read_text())["status"] == "complete"


@pytest.mark.parametrize("setting", [{"text.usetex": True}, {"lines.linewidth": 9}, {"font.size": 30}])
def test_a_users_style_changes_no_picture(setting):
    import matplotlib

    plain = pictures.draw_curves(ROWS, "title")
    with matplotlib.rc_context(setting):
        assert pictures.draw_curves(ROWS, "title") == plain
        assert all(matplotlib.rcParams[name] == value for name, value in setting.items()), "and stays set"


@pytest.mark.parametrize("error", [ImportError("no matplotlib"), OSError(28, "No space left"), RuntimeError("latex")])
def test_a_picture_that_cannot_be_drawn_is_a_warning(tmp_path, caplog, error):
    def draw() -> bytes:
        raise error

    write_picture(RunFolder(tmp_path), "curves.png", draw)
    assert "continuing without curves.png" in caplog.text and not list(tmp_path.iterdir())


class Full(io.StringIO):
    def write(self, text):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [None, Full(), io.StringIO()])
def test_a_bar_that_cannot_be_drawn_is_left_out(monkeypatch, stream):
    if isinstance(stream, io.StringIO) and not isinstance(stream, Full):
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    for disable in (None, False):
        assert list(tqdm(range(3), disable=disable, file=BAR_OUTPUT, dynamic_ncols=True)) == [0, 1, 2]


def test_output_that_nobody_reads_is_dropped():
    read, write = os.pipe()
    os.close(read)
    kept = os.dup(1)
    try:
        os.dup2(write, 1)
        drop_output()
        assert os.write(1, b"to nobody") == 9
    finally:
        os.dup2(kept, 1)
        os.close(write)
