"""Run folders are found wherever they are, and read in any state."""

import os

import pytest

from analysis import benchmark
from analysis.frames.experiments import question_of
from analysis.frames.find import BadRequest, RunsError, find_runs
from analysis.frames.runs import load_runs
from analysis.frames.tables import load_epochs, load_layers
from analysis.report import main as report
from tests.analysis.conftest import LAYERS
from tests.analysis.studies import DEEP


@pytest.mark.parametrize("levels_up", [0, 1, 2, 3])
def test_a_run_is_found_from_its_own_folder_and_any_above_it(build, levels_up):
    run = build.complete()
    folder = [run, *run.parents][levels_up]
    assert find_runs([folder]) == [run]
    assert load_runs([folder])["study"].tolist() == ["depth"]


def test_a_run_below_two_given_folders_counts_once(build):
    run = build.complete()
    assert find_runs([run.parents[1], build.root, run]) == [run]


def test_a_link_to_itself_gets_a_warning_and_stops_nothing(build, capsys):
    run = build.complete()
    (build.root / "odd").symlink_to("odd")
    assert list(load_runs(["runs"])["path"]) == [str(run.relative_to(build.root.parent))]
    assert capsys.readouterr().err == "warning: runs/odd: Too many levels of symbolic links\n"


def test_a_linked_study_is_followed_and_a_loop_is_not(build, tmp_path, capsys):
    build.complete()
    build.root.rename(tmp_path / "elsewhere")
    build.root.mkdir()
    (build.root / "linked").symlink_to(tmp_path / "elsewhere" / "depth")
    (tmp_path / "elsewhere" / "depth" / "loop").symlink_to(build.root)
    assert load_runs(["runs"])["study"].tolist() == ["linked"]
    assert capsys.readouterr().err == ""


def test_a_reference_study_has_the_question_of_the_experiment_with_its_name():
    asked = [
        question_of([{"choices": {"experiment": experiment}, "study": study}])
        for experiment, study in (("depth", "reference/depth_short"), ("depth_short", "mine"), ("depth", "depth_short"))
    ]
    assert asked[0] == asked[1] != asked[2] and all(asked), "a user's study may have any name"


def test_reference_studies_are_told_apart_from_the_users(build):
    build.complete(study="depth")
    build.complete(study="reference/depth")
    assert load_runs(["runs"])["study"].tolist() == ["depth", "reference/depth"]


def test_studies_of_one_name_in_two_places_stay_apart(build, tmp_path):
    build.complete()
    (tmp_path / "theirs").mkdir()
    type(build)(tmp_path / "theirs").complete()
    assert load_runs(["runs", "theirs"])["study"].tolist() == ["runs/depth", "theirs/depth"]


def test_a_complete_run_is_a_row_with_its_results(build):
    run = build.complete(seed=3, test=0.8812, **DEEP)
    row = load_runs(["runs"]).iloc[0]
    assert row["status"] == "complete" and row["seed"] == 3 and row["path"] == os.path.relpath(run)
    assert (row["model"], row["blocks"], row["depth"], row["stages"]) == ("blocks15", 15, 32, (5, 5, 5))
    assert (row["test_acc"], row["parameters"], row["epochs"], row["best_epoch"]) == (0.8812, 1860522, 20, 17)
    assert row["config"]["optimizer.lr"] == 0.001 and "seed" not in row["config"]
    assert row["settings"]["model.stages"] == [5, 5, 5] and "optimizer.lr" not in row["settings"]


def test_incomplete_runs_have_their_status_and_no_results(build):
    build.begin(seed=0, done=7)
    build.fail(seed=1)
    build.fail(seed=2, status="diverged")
    runs = load_runs(["runs"])
    assert runs["status"].tolist() == ["unfinished", "failed", "diverged"]
    assert runs["epochs_done"].iloc[0] == 7 and runs["test_acc"].isna().all()
    assert runs["error"].iloc[1] == "out of memory"


def test_a_complete_result_wins_over_an_older_failure(build):
    run = build.complete()
    (run / "failure.json").write_text('{"status": "failed"}')
    assert load_runs(["runs"])["status"].tolist() == ["complete"]


def test_a_run_without_validation_has_no_validation_results(build):
    build.complete(val=None, **{"data.val_fraction": 0})
    assert load_runs(["runs"])[["val_loss", "val_acc", "best_epoch"]].isna().all(axis=None)


DAMAGE = {
    "config.yaml missing": ("config.yaml", None, "missing"),
    "config.yaml cut": ("config.yaml", b"data: {name: cifar10", "not YAML"),
    "config.yaml foreign": ("config.yaml", b"services: [web]", "not the configuration of a run (no 'model')"),
    "config.yaml not a mapping": ("config.yaml", b"- 1\n- 2\n", "not the configuration of a run"),
    "config.yaml code": ("config.yaml", b"!!python/object/apply:os.mkdir [pwned]", "not YAML"),
    "config.yaml binary": ("config.yaml", b"\xff\xfe\x00", "codec can't decode"),
    "config.yaml deep": ("config.yaml", b"[" * 5000, "config.yaml"),
    "result.json cut": ("result.json", b'{"status": "comp', "Unterminated string"),
    "result.json foreign": ("result.json", b'{"total": 3}', "parameters cannot be None"),
    "result.json list": ("result.json", b"[1, 2]", "not the result of a run"),
    "result.json huge": ("result.json", b'{"parameters": 1' + b"0" * 400 + b"}", "not the result of a run"),
    "config.yaml infinite": ("config.yaml", b"{model: {stages: [.inf]}, epochs: {count: 1}}", "cannot convert float"),
    "result.json NUL": ("result.json", b'{"parameters": 1\0}', "delimiter"),
}


@pytest.mark.parametrize(("file", "content", "reason"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_named_in_one_line_and_the_other_runs_are_read(build, capsys, file, content, reason):
    good, bad = build.complete(seed=0, test=0.9), build.complete(seed=1, test=0.1)
    (bad / file).unlink() if content is None else (bad / file).write_bytes(content)
    runs = load_runs(["runs"])
    assert runs[runs["status"] == "complete"]["path"].tolist() == [os.path.relpath(good)]
    assert set(runs["status"]) <= {"complete", "damaged"}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {os.path.relpath(bad / file)}: ") and reason in line
    assert not os.path.exists("pwned")


WRONG = {
    "half an epoch": {"epochs": 19.5},
    "a word for threads": {"machine": {"threads": "many"}},
    "a string for git": {"git": "abc"},
    "a list of versions": {"versions": ["torch"]},
    "no test images": {"test": {"loss": 0.5, "acc": 0.9, "images": 0}},
}


@pytest.mark.parametrize("entries", WRONG.values(), ids=WRONG)
def test_a_result_of_the_wrong_type_costs_no_other_run(build, capsys, tmp_path, entries):
    build.complete(seed=0)
    build.amend(build.complete(seed=1), **entries)
    assert load_runs(["runs"])["status"].tolist() == ["complete", "damaged"]
    assert report(["--out", str(tmp_path / "report.html")]) == 0
    assert "seed1/result.json: " in capsys.readouterr().err


def test_a_list_where_one_value_belongs_does_not_break_the_table(build, table):
    build.complete(seed=0)
    build.complete(seed=0, **{"optimizer.lr": [0.001]})
    assert "[0.001]" in table()


@pytest.mark.parametrize("value", ["0.93", None, float("nan"), 1.5, -0.1])
def test_an_accuracy_that_is_not_a_fraction_is_not_averaged(build, capsys, value):
    build.amend(build.complete(), test={"loss": 0.5, "acc": value})
    assert load_runs(["runs"])["status"].tolist() == ["damaged"]
    assert "result.json: test.acc cannot be" in capsys.readouterr().err


def test_a_study_may_be_named_like_a_seed(build, capsys):
    run = build.complete(study="seed7")
    assert load_runs(["runs"])["path"].tolist() == [os.path.relpath(run)]
    assert capsys.readouterr().err == ""


def test_an_unrelated_folder_gets_a_warning_and_a_new_or_hidden_one_none(build, capsys):
    build.complete()
    (build.root / "notes" / "more" / "still").mkdir(parents=True)
    (build.root / "notes" / "more" / "still" / "todo.txt").write_text("…")
    (build.root / "new_study").mkdir()
    (build.root / ".cache").mkdir()
    (build.root / ".cache" / "x").write_text("…")
    (build.root / "depth" / "sweep.csv").write_text("…")
    assert len(load_runs(["runs"])) == 1
    assert capsys.readouterr().err == "warning: runs/notes: holds no run\n"


def test_a_run_stopped_before_its_first_step_is_ignored_without_a_warning(build, capsys):
    build.complete()
    (build.root / "depth" / "blocks15-none-00000000" / "seed0" / ".hydra").mkdir(parents=True)
    (build.root / "depth" / "blocks15-none-00000000" / "seed0" / "run.log").write_text("compiling")
    assert len(load_runs(["runs"])) == 1
    assert capsys.readouterr().err == ""


def test_hydra_and_archive_folders_of_a_run_are_not_runs(build):
    run = build.complete()
    for folder in (".hydra", ".archive/1"):
        (run / folder).mkdir(parents=True)
        (run / folder / "config.yaml").write_text("x: 1")
    assert find_runs(["runs"]) == [run.relative_to(build.root.parent)]


def test_an_unreadable_file_gets_one_warning(build, capsys):
    build.complete(seed=0)
    file = build.complete(seed=1) / "result.json"
    file.unlink()
    file.mkdir()
    assert load_runs(["runs"])["status"].tolist() == ["complete", "damaged"]
    (line,) = capsys.readouterr().err.splitlines()
    assert "seed1/result.json: Is a directory" in line


def test_a_copied_seed_is_not_counted_twice(build, capsys):
    run = build.complete(seed=0)
    copy = run.with_name("seed1")
    copy.mkdir()
    for file in run.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert len(load_runs(["runs"])) == 1
    assert "seed1: left out, it has the same seed as" in capsys.readouterr().err


def test_a_run_of_other_settings_in_the_same_folder_is_left_out(build, capsys):
    run = build.complete(seed=0)
    build.complete(seed=1, **{"optimizer.lr": 0.1}).rename(run.with_name("seed1"))
    assert load_runs(["runs"])["seed"].tolist() == [0]
    assert "seed1: left out, its optimizer.lr is not that of" in capsys.readouterr().err


def test_each_folder_named_by_hand_is_a_configuration(build):
    run = build.complete(seed=0)
    flat = build.root / "flat"
    flat.mkdir()
    run.rename(flat / "fast")
    build.complete(seed=0, **{"optimizer.lr": 0.1}).rename(flat / "slow")
    runs = load_runs([flat])
    assert runs[["study", "configuration", "seed"]].values.tolist() == [["flat", "fast", 0], ["flat", "slow", 0]]


def test_how_often_layers_were_probed_does_not_separate_seeds(build):
    run = build.complete(seed=0)
    build.complete(seed=1, probe_every=5).rename(run.with_name("seed1"))
    assert load_runs(["runs"])["seed"].tolist() == [0, 1]


def test_missing_and_empty_folders_raise(build, tmp_path):
    with pytest.raises(BadRequest, match="nowhere: no such folder"):
        load_runs(["nowhere"])
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRequest, match="file: not a folder"):
        load_runs(["file"])
    with pytest.raises(RunsError, match="runs: no run found; `python -m resnet.run"):
        load_runs(["runs"])


def test_epochs_are_rows_with_the_columns_of_their_run(build):
    build.complete(seed=0, **DEEP)
    build.begin(seed=1, done=2, **DEEP)
    build.begin(seed=2, done=0, **DEEP)
    epochs = load_epochs(load_runs(["runs"]))
    assert epochs.groupby("seed").size().to_dict() == {0: 20, 1: 2}
    last = epochs.iloc[-1]
    assert (last["model"], last["depth"], last["epoch"], last["train_loss"]) == ("blocks15", 32, 2, 1.0)


HALF = "3,0.001,0.6,0.5,0.8"
TABLES = {
    "half of the last row": (HALF, 2, ""),
    "half of the last number": ("3,0.001,0.6,0.5,0.8,0.4,10.5,1.25,40", 2, ""),
    "half of a row in the middle": (f"{HALF}\n4,0.001,0.5,0.5,0.6,0.4,10.5,1.25,4000.0\n", 2, "line 4 is damaged"),
    "a NUL byte": ("3,0.001,\0,0.5,0.8,0.4,10.5,1.25,4000.0\n", 2, "line 4 is damaged"),
    "no validation": ("3,0.001,0.6,0.5,,,10.5,1.25,4000.0\n", 3, ""),
    "a word": ("3,0.001,many,0.5,0.8,0.4,10.5,1.25,4000.0\n", 0, "metrics.csv: "),
}


@pytest.mark.parametrize(("tail", "rows", "warning"), TABLES.values(), ids=TABLES)
def test_whole_rows_of_a_damaged_table_are_read(build, capsys, tail, rows, warning):
    run = build.begin(done=2)
    runs = load_runs(["runs"])
    with open(run / "metrics.csv", "a") as file:
        file.write(tail)
    assert len(load_epochs(runs)) == rows
    printed = capsys.readouterr().err
    assert warning in printed and len(printed.splitlines()) == bool(warning)


def test_a_table_with_other_columns_is_not_read(build, capsys):
    run = build.begin(done=2)
    (run / "metrics.csv").write_text("step,loss\n1,2.0\n")
    runs = load_runs(["runs"])
    assert load_epochs(runs).empty
    assert "metrics.csv: its columns are 'step,loss', without epoch" in capsys.readouterr().err


def test_layers_are_read_from_runs_that_have_them(build):
    run = build.complete(seed=0)
    build.complete(seed=1)
    rows = "0,1,stem,0,0.5,3.5,0.9,\n0,2,blocks.0.conv2,1,0.25,2.5,0.8,0.125\n"
    (run / "layers.csv").write_text(LAYERS + rows)
    layers = load_layers(load_runs(["runs"]))
    assert layers["name"].tolist() == ["stem", "blocks.0.conv2"] and layers["epoch"].tolist() == [0, 0]
    assert layers["grad_norm"].sum() == 0.75 and set(layers["seed"]) == {0}
    assert layers["weight_norm"].tolist() == [3.5, 2.5]
    assert layers["residual_ratio"].isna().tolist() == [True, False]
    assert load_layers(load_runs([run.with_name("seed1")])).empty


def test_layers_of_older_runs_lack_what_was_not_measured_then(build):
    old, new = build.complete(seed=0), build.complete(seed=1)
    (old / "layers.csv").write_text("epoch,layer,name,stage,grad_norm,response_std\n1,1,stem,0,0.5,0.9\n")
    build.look_inside(new, layers=2, epochs=1)
    layers = load_layers(load_runs(["runs"]))
    by_seed = {seed: rows for seed, rows in layers.groupby("seed")}
    assert by_seed[0]["grad_norm"].tolist() == [0.5] and by_seed[0]["weight_norm"].isna().all()
    assert set(by_seed[1]["epoch"]) == {0, 1} and by_seed[1]["weight_norm"].notna().all()


def test_runs_of_versions_without_identities_are_read_and_told_apart_by_what_varies(build, capsys):
    old = [build.complete(seed, **settings) for settings in ({}, {"optimizer.lr": 0.1}) for seed in (0, 1)]
    for run in old:
        build.make_old(run)
    runs = load_runs(["runs"])
    assert runs["test_acc"].notna().all() and len(runs) == 4 and capsys.readouterr().err == ""
    assert {frozenset(settings) for settings in runs["settings"]} == {frozenset({"optimizer.lr"})}


def test_a_key_added_by_a_later_version_tells_runs_apart_only_if_not_at_its_default(build):
    runs = {mixup: build.complete(study=f"mixup{mixup}") for mixup in (None, 0.0, 0.2)}
    build.add(runs[0.0], "augmentation.mixup", 0.0, identity=False)
    build.add(runs[0.2], "augmentation.mixup", 0.2)
    rows = load_runs(["runs"]).set_index("study")["settings"]
    assert [rows[f"mixup{mixup}"]["augmentation.mixup"] for mixup in runs] == [0.0, 0.0, 0.2]
    assert "augmentation.mixup" not in load_runs(["runs/mixupNone", "runs/mixup0.0"])["settings"].iloc[0]


def test_the_benchmark_reads_what_it_writes(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["analysis.benchmark", "--runs", "20", "--epochs", "2"])
    benchmark.main()
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[2:]] == ["5", "10", "20"]
