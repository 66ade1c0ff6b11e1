import errno
import os
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet.config import Config
from resnet.record.checkpoint import load_checkpoint
from resnet.record.files import append, read_table, write_whole
from resnet.record.folder import CHECKPOINT, LAYERS, METRICS, PREVIOUS, RecordError, RunFolder
from tests.resnet.runs import Harmful

CONFIG = Config()


def row(epoch: int) -> dict:
    return dict.fromkeys(METRICS, 0.1 + 0.2) | {"epoch": epoch, "val_loss": None, "val_acc": None}


def checkpoint(epoch: int) -> dict:
    return {"epoch": epoch, "model": {"weight": torch.full((100,), float(epoch))}}


@pytest.fixture
def run(tmp_path):
    """Return a run of three finished epochs."""
    return begun(tmp_path)


def begun(path, epochs=3) -> RunFolder:
    run = RunFolder(path)
    run.begin(CONFIG, {})
    assert run.resume(restore=lambda checkpoint: None) == 0
    for epoch in range(1, epochs + 1):
        run.finish_epoch(row(epoch), [], checkpoint(epoch))
    return run


def resumed(run: RunFolder) -> tuple[int, float]:
    """Return the epoch that a run resumes from, and the mean of the weights restored there."""
    weights = [0.0]
    epoch = run.resume(lambda state: weights.append(state["model"]["weight"].mean().item()))
    return epoch, weights[-1]


def test_a_run_continues_from_its_last_checkpoint(run):
    before = (run.path / "metrics.csv").read_bytes()
    assert resumed(run) == (3, 3.0)
    assert (run.path / "metrics.csv").read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: bytes(len(content)),
        lambda content: content.replace(b"\x00\x00\x40\x40" * 20, b"\x00\x00\x40\x41" * 20),
    ],
    ids=["cut in half", "empty", "zeroed", "another weight"],
)
def test_a_damaged_checkpoint_is_archived_and_the_previous_one_used(run, damage, caplog):
    path = run.path / CHECKPOINT
    damaged = damage(path.read_bytes())
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    assert resumed(run) == (2, 2.0)
    assert "checkpoint.pt: archived, damaged" in caplog.text
    assert (run.path / ".archive" / "1" / CHECKPOINT).read_bytes() == damaged
    assert [row["epoch"] for row in run.metrics()] == [1, 2]


def test_a_checkpoint_that_is_temporarily_unreadable_is_left_in_place(run, monkeypatch):
    def stale(path):
        raise OSError(errno.ESTALE, "Stale file handle", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.read_bytes", stale)
        with pytest.raises(OSError, match="Stale file handle"):
            load_checkpoint(run.path / CHECKPOINT)
    with monkeypatch.context() as patch:
        patch.setattr("resnet.record.folder.load_checkpoint", stale)
        with pytest.raises(OSError, match="Stale file handle"):
            resumed(run)
    assert resumed(run) == (3, 3.0)


def test_a_truncated_start_is_dropped_by_the_next_start(run):
    for epoch in (0, 3):
        run.start({"epoch": epoch})
    with (run.path / "starts.jsonl").open("a") as file:
        file.write('{"epoch": 5, "co')
    run.start({"epoch": 6})
    assert [start["epoch"] for start in run.starts()] == [0, 3, 6]


def test_without_a_usable_checkpoint_the_run_starts_over(run):
    for name in (CHECKPOINT, PREVIOUS):
        (run.path / name).write_bytes(b"nonsense")
    assert resumed(run) == (0, 0.0)
    assert run.metrics() == []


@pytest.mark.parametrize("content", [[1, 2], {"model": {}}, {"epoch": "3"}, {"epoch": 4, "model": {}}])
def test_a_file_that_is_not_a_checkpoint_of_the_run_is_archived(run, content):
    torch.save(content, run.path / CHECKPOINT)
    assert resumed(run) == (2, 2.0)


def test_a_checkpoint_of_another_network_is_archived(run, caplog):
    def refuse(state):
        raise ValueError("it holds another network")

    assert run.resume(refuse) == 0
    assert caplog.text.count("archived, it holds another network") == 2


@pytest.mark.parametrize("tail", [b"4,0.1,0.2", b"4,0.1\n", b"\x00\x00\x00", b"4" + b",0.5" * 8 + b"\n", b"x,y\n"])
def test_rows_beyond_the_checkpoint_are_dropped(run, tail):
    path = run.path / "metrics.csv"
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    assert resumed(run) == (3, 3.0)
    assert path.read_bytes() == whole


@pytest.fixture(scope="module")
def another(tmp_path_factory):
    """Return a function that returns a new copy of a run of three finished epochs."""
    first = begun(tmp_path_factory.mktemp("first")).path
    return lambda: RunFolder(Path(shutil.copytree(first, tmp_path_factory.mktemp("copy") / "seed0")))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damage_anywhere_in_a_checkpoint_is_noticed_or_harmless(another, data):
    run = another()
    path = run.path / CHECKPOINT
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1))
    junk = data.draw(st.binary(min_size=1, max_size=64))
    content[start : start + len(junk)] = junk
    path.write_bytes(content)
    assert resumed(run) in ((2, 2.0), (3, 3.0))


@pytest.mark.parametrize("method", [8, 12, 14, 93], ids=["deflate", "bzip2", "lzma", "unknown"])
def test_parts_marked_as_compressed_count_as_damage(run, method):
    """A decompressor's error, such as bz2's OSError, is not mistaken for a temporarily unreadable disk."""
    path = run.path / CHECKPOINT
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\x01\x02") + 10] = method  # the first part's, in the archive's directory
    path.write_bytes(content)
    assert resumed(run) == (2, 2.0)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 2000))
def test_a_table_truncated_anywhere_keeps_its_whole_rows_or_starts_over(another, cut):
    run = another()
    path = run.path / "metrics.csv"
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    epoch, weight = resumed(run)
    assert epoch == weight
    assert epoch == (3 if cut >= len(whole) else 2 if whole[:cut].count(b"\n") == 3 else 0)
    assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[: epoch + 1])


def test_a_table_damaged_in_the_middle_is_archived(run):
    path = run.path / "metrics.csv"
    damaged = path.read_bytes().replace(b"\n2,", b"\n2\0,")
    path.write_bytes(damaged)
    assert resumed(run) == (0, 0.0) and run.metrics() == []
    assert [p.read_bytes() for p in run.path.glob(".archive/*/metrics.csv")] == [damaged]


def test_a_table_with_a_damaged_number_is_archived(run):
    path = run.path / "metrics.csv"
    path.write_bytes(path.read_bytes().replace(b"\n2,0.3", b"\n2,0x3"))
    assert [row["epoch"] for row in run.metrics()] == [1], "counting its epochs does not fail"
    assert resumed(run) == (0, 0.0) and run.metrics() == []
    assert [b"0x3" in p.read_bytes() for p in run.path.glob(".archive/*/metrics.csv")] == [True]


def test_a_table_with_other_columns_is_archived_not_destroyed(run, caplog):
    (run.path / "metrics.csv").write_text("when,what\n1,2\n")
    assert resumed(run) == (0, 0.0)
    assert "metrics.csv: archived, its columns are not epoch,lr" in caplog.text
    kept = [p.read_text() for p in run.path.glob(".archive/*/metrics.csv")]
    assert kept == ["when,what\n1,2\n"]


def test_floats_keep_all_their_digits(run):
    assert read_table(run.path / "metrics.csv", METRICS)[0][1] == "0.30000000000000004"
    assert run.metrics()[0] == row(1)


@pytest.mark.parametrize(
    "found",
    [
        "seed: 1\nidentity: {}\n",
        "seed: 0\nidentity: {batch_size: 32}\n",
        "seed: 0\n",
        "- 1",
        "\x01",
        "{",
        "",
        "seed: 2001-99-99",
        "seed: !!int x",
    ],
)
def test_a_folder_of_another_configuration_is_left_alone(run, found):
    (run.path / "config.yaml").write_text(found)
    with pytest.raises(RecordError, match="config.yaml is not this run's configuration; move the folder away"):
        run.begin(CONFIG, {})
    assert (run.path / "config.yaml").read_text() == found


@pytest.mark.parametrize("left", [(CHECKPOINT,), (PREVIOUS,), ("result.json",)])
def test_a_run_without_its_configuration_is_refused_until_it_is_archived(run, left):
    run.complete({"status": "complete"}, {})
    for name in {"config.yaml", CHECKPOINT, PREVIOUS, "result.json"} - {*left}:
        (run.path / name).unlink(missing_ok=True)
    (run.path / left[0]).touch()
    before = {path: path.read_bytes() for path in run.path.iterdir()}
    with pytest.raises(RecordError, match="no config.yaml that says whose"):
        run.begin(CONFIG, {})
    assert {path: path.read_bytes() for path in run.path.iterdir()} == before
    run.archive()
    run.begin(CONFIG, {})


def test_a_failure_without_a_configuration_is_no_conflict(tmp_path):
    """A cluster job that died before its run started leaves one."""
    RunFolder(tmp_path).fail("failed", "its Slurm job died", "")
    RunFolder(tmp_path).begin(CONFIG, {})


def test_a_key_added_by_a_later_version_leaves_it_the_same_run(run):
    path = run.path / "config.yaml"
    path.write_text(path.read_text().replace("fail_fast: false\n", ""))
    run.begin(CONFIG, {})


def test_a_configuration_is_written_with_its_identity_and_its_choices(tmp_path):
    RunFolder(tmp_path).begin(Config(batch_size=32, seed=5, device="cpu"), {"model": "blocks4", "experiment": None})
    written = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert written["identity"] == {"batch_size": 32}
    assert written["choices"] == {"model": "blocks4", "experiment": None}
    assert (written["seed"], written["device"], written["optimizer"]["lr"]) == (5, "cpu", 0.001)


def test_a_run_knows_whether_its_last_checkpoint_was_compiled(tmp_path):
    run = RunFolder(tmp_path)
    assert run.begun_compiled() is None
    run.begin(CONFIG, {})
    run.finish_epoch(row(1), [], {"epoch": 1, "compiled": False})
    assert run.begun_compiled() is False
    run.finish_epoch(row(2), [], {"epoch": 2, "compiled": True})
    assert run.begun_compiled() is True
    (run.path / "checkpoint.pt").write_bytes(b"damaged")
    assert run.begun_compiled() is False


def test_starting_over_archives_everything(run):
    run.archive()
    run.begin(CONFIG, {})
    run.archive()
    assert run.state() == "not started"
    assert sorted(p.name for p in (run.path / ".archive" / "1").iterdir()) == sorted(
        ["config.yaml", "metrics.csv", CHECKPOINT, PREVIOUS]
    )
    assert [p.name for p in (run.path / ".archive" / "2").iterdir()] == ["config.yaml"]


def test_one_process_at_a_time(run):
    owner = f"process {os.getpid()} on {os.uname().nodename}"
    for _ in range(2):  # the second owner's name replaces the first one's
        with run.lock():
            with pytest.raises(RecordError, match=rf"^in use by {owner}; wait for it, or stop it first$"):
                with run.lock():
                    pass


def test_what_is_measured_before_the_first_step_is_recorded_once(tmp_path):
    """A run stopped in its first epoch measures it again."""
    run = RunFolder(tmp_path)
    run.begin(CONFIG, {})
    for _ in range(2):
        assert run.resume(lambda checkpoint: None) == 0
        run.write_layers([dict.fromkeys(LAYERS, 0.5) | {"epoch": 0}])
    run.finish_epoch(row(1), [dict.fromkeys(LAYERS, 0.5) | {"epoch": 1}], checkpoint(1))
    assert run.resume(lambda checkpoint: None) == 1
    assert [row[0] for row in read_table(tmp_path / "layers.csv", LAYERS)] == ["0", "1"]


def test_numbers_that_json_cannot_represent_are_refused(run):
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.complete({"status": "complete", "test": {"loss": float("nan")}}, {})
    assert run.state() == "unfinished"


def test_a_run_goes_from_not_started_to_complete_and_a_new_attempt_clears_a_failure(tmp_path):
    run = RunFolder(tmp_path)
    assert run.state() == "not started"
    run.begin(CONFIG, {})
    assert run.state() == "unfinished"
    run.fail("diverged", "the loss was not finite", "", step=7)
    assert (run.state(), run.failure()["step"], run.failure()["epoch"]) == ("diverged", 7, 1)
    run.begin(CONFIG, {})
    assert run.state() == "diverged", "nothing has been tried yet"
    run.start({"epoch": 0})
    assert run.state() == "unfinished", "a new attempt clears the failure"
    run.complete({"status": "complete"}, {"w": torch.zeros(2, 2).t()})
    assert run.state() == "complete"


NO_RESULTS = ["[]", "null", "{}", '{"final": {}}', '{"status": "failed"}', '{"status": "complete", "final": {}}']


@pytest.mark.parametrize("content", [*NO_RESULTS, '{"status": "complete", "final": [], "test": {}}', "\x00"])
def test_an_invalid_result_is_reported_as_damaged(run, content):
    (run.path / "result.json").write_text(content)
    for read in (run.result, run.accuracy):
        with pytest.raises(RecordError, match="result.json is damaged, "):
            read()


@pytest.mark.parametrize("content", ["[]", "null", "7", "{}", '{"status": "diverged"}', '{"status": 3, "error": ""}'])
def test_an_invalid_failure_file_still_means_failed(run, content):
    (run.path / "failure.json").write_text(content)
    assert run.failure() == {} and run.state() == "failed"


def test_a_checkpoint_is_never_executed(run, tmp_path):
    torch.save({"epoch": 3, "model": Harmful(tmp_path / "executed")}, run.path / CHECKPOINT)
    with pytest.raises(ValueError, match="damaged"):
        load_checkpoint(run.path / CHECKPOINT)
    assert resumed(run)[0] == 2
    assert not (tmp_path / "executed").exists()


def test_pytorch_writes_the_checksums_that_the_code_relies_on(run):
    with zipfile.ZipFile(run.path / CHECKPOINT) as archive:
        assert all(part.CRC for part in archive.infolist() if part.file_size)


@pytest.mark.parametrize("write", [write_whole, append])
def test_a_failed_write_names_the_file(tmp_path, write):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "nowhere" / "file"):
        with pytest.raises(OSError) as raised:
            write(path, b"new")
        assert (raised.value.filename, str(raised.value).count(str(tmp_path))) == (str(path), 1)
        assert ".new" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_lack_of_memory_is_not_taken_for_damage(run, monkeypatch):
    def load(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("torch.load", load)
    with pytest.raises(RuntimeError, match="allocate memory"):
        resumed(run)
    assert (run.path / CHECKPOINT).exists() and not (run.path / ".archive").exists()
