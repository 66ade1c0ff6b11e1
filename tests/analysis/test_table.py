"""The table of runs with known results, in each format and in each state of a sweep."""

import csv
import io
import itertools
import json
import re
import shlex
import subprocess
import sys

import pytest

from analysis.claims.findings import find
from analysis.frames.published import read_published
from analysis.frames.study import load_studies
from analysis.table import main
from tests.analysis.conftest import rows
from tests.analysis.studies import DEEP, MULTISTEP, PLAIN, layers
from tests.conftest import imported

A, B = "a" * 64, "b" * 64  # checksums


def test_a_row_is_the_mean_over_seeds_of_the_last_epoch(build, table):
    for seed, test in enumerate((0.8812, 0.8840, 0.8844)):
        build.complete(seed, test=test, val=None, **DEEP)
    build.complete(0, test=0.8301)
    printed = table()
    assert printed.splitlines()[2].startswith("shortcut=projection · 20 epochs · optimizer=adam · ")
    shallow, deep = rows(printed)
    assert shallow["model"] == "blocks4" and shallow["test acc (%)"] == "83.01" and shallow["seeds"] == "1"
    expected = {
        "layers": "32",
        "stages": "3",
        "model": "blocks15",
        "parameters": "1,860,522",
        "multiply-adds (M)": "275.61",
        "train loss": "0.4000 ± 0.0000",
        "train acc (%)": "86.00 ± 0.00",
        "val loss": "-",
        "val acc (%)": "-",
        "test acc (%)": "88.32 ± 0.17",
        "seeds": "3",
    }
    assert deep == expected


def test_unusual_settings_that_all_rows_share_are_above_them(build, table):
    started = {"model.zero_init": True, "schedule.warmup": 0.11363636363636363}
    for seed, lr in enumerate((0.1, 0.01)):
        build.complete(seed, "started", **started, **{"optimizer.lr": lr})
    build.complete(0, "usual", **{"optimizer.lr": 0.012345})
    build.complete(0, "without", **{"model.norm": "none"})
    above = [line for line in table().splitlines() if " · " in line]
    assert above[0].endswith("model.zero_init=true · schedule.warmup=0.114") and "optimizer.lr" not in above[0]
    assert above[1].endswith("optimizer.lr=0.012345 · batch_size=64") and above[2].endswith("model.norm=none")


def test_every_study_has_a_table_sorted_by_depth(build, table):
    build.complete(study="b", **DEEP)
    build.complete(study="b")
    build.complete(study="a", **{"data.name": "digits"})
    printed = table()
    assert re.findall("^## .*", printed, re.MULTILINE) == ["## a (digits)", "## b (cifar10)"]
    assert [row["model"] for row in rows(printed)] == ["blocks4", "blocks4", "blocks15"]


def test_rows_that_would_look_the_same_say_what_tells_them_apart(build, table):
    build.complete()
    build.complete(**{"optimizer.lr": 0.01, "data.root": "/elsewhere", "device": "cuda"})
    build.complete(**{"schedule.name": "cosine"})
    assert [(row["optimizer.lr"], row["schedule"]) for row in rows(table())] == [
        ("0.001", "constant"),
        ("0.01", "constant"),
        ("0.001", "cosine"),
    ]


def test_settings_that_have_a_column_are_not_named_again(build, table):
    build.complete()
    build.complete(**DEEP)
    build.complete(**{"epochs.count": 3, "model.shortcut": "none"})
    printed = table()
    assert all(key not in printed for key in ("model.stages", "model.shortcut", "epochs.count"))


def test_stages_are_named_if_the_models_name_hides_them(build, table):
    for stages in ([3, 3], [2, 2, 2]):
        build.complete(**{"model.name": "blocks6", "model.stages": stages})
    assert [row["stages"] for row in rows(table())] == ["2", "3"] and "14 layers" in table()


def test_a_copied_configuration_is_told_apart_by_its_folder(build, table):
    first = build.complete().parent
    first.rename(first.with_name("kept"))
    build.complete()
    assert {row["configuration"] for row in rows(table())} == {"kept", first.name}


SWEEPS = {
    "unfinished": (["complete", "complete", 7], "2 of 3 (1 unfinished: epoch 7/20)"),
    "several unfinished": ([0, 7, 3], "0 of 3 (3 unfinished: epochs 0 to 7/20)"),
    "failed": (["complete", "failed"], "1 of 2 (1 failed)"),
    "diverged": (["diverged"], "0 of 1 (1 diverged)"),
    "everything": (
        ["complete", "failed", "diverged", 5],
        "1 of 4 (1 failed, 1 diverged, 1 unfinished: epoch 5/20)",
    ),
}


def test_a_configuration_without_a_complete_run_has_no_time(build, table):
    build.fail()
    (row,) = rows(table("--columns", "model,wall_seconds"))
    assert row["minutes"] == "-"


@pytest.mark.parametrize(("runs", "seeds"), SWEEPS.values(), ids=SWEEPS)
def test_incomplete_runs_are_counted_and_not_averaged(build, table, runs, seeds):
    for seed, run in enumerate(runs):
        if run == "complete":
            build.complete(seed, test=0.9)
        elif run in ("failed", "diverged"):
            build.fail(seed, status=run)
        else:
            build.begin(seed, done=run)
    printed = table()
    (row,) = rows(printed)
    complete = runs.count("complete")
    assert row["seeds"] == seeds
    assert row["test acc (%)"] == {0: "-", 1: "90.00", 2: "90.00 ± 0.00"}[complete]
    assert "Averages are over complete runs only" in printed


def test_a_damaged_run_is_marked(build, table):
    build.complete(0, test=0.9)
    (build.complete(1) / "result.json").write_text("{")
    (row,) = rows(table())
    assert (row["seeds"], row["test acc (%)"]) == ("1 of 2 (1 damaged)", "90.00")


def test_progress_without_a_known_end_says_so(build, table):
    build.begin(done=5, **{"epochs.count": None, "epochs.steps": 64000})
    (row,) = rows(table())
    assert row["seeds"] == "0 of 1 (1 unfinished: epoch 5/?)" and row["epochs"] == "64,000 steps"


def test_a_table_of_complete_runs_has_no_note_on_incomplete_ones(build, table):
    build.complete()
    assert "complete runs only" not in table() and "Values after the last epoch" in table()


def test_published_rows_are_shown_among_our_own_with_the_difference(build, table):
    build.complete(val=0.8406)
    build.complete(val=0.7, **DEEP, **{"epochs.count": 3})
    build.complete(test=0.9, **layers(20, "pad"))
    build.complete(**PLAIN)
    printed = table("--published")
    found = rows(printed)
    ours = {(row["model"], row["shortcut"]): row["against published"] for row in found if not row["source"]}
    assert ours == {
        ("blocks4", "projection"): "val +0.14 pp (original project)",
        ("blocks4", "none"): "",
        ("blocks15", "projection"): "val -18.06 pp (original project), recipes differ: 3 epochs against 20 epochs",
        ("resnet20", "pad"): "test -1.25 pp (He et al. 2016, table 6), recipes differ: "
        "20 epochs against 64,000 steps, batch size, optimizer, schedule",
    }
    original = [row for row in found if row["source"] == "original project"]
    assert [row["val acc (%)"] for row in original] == ["83.92", "88.06"]
    assert [int(row["layers"].replace(",", "")) for row in found] == sorted(
        int(row["layers"].replace(",", "")) for row in found
    )
    assert list(found[0])[:3] == ["layers", "stages", "shortcut"] and "source" in list(found[0])[:8]
    assert "augmented its validation images" in printed
    assert "Where recipes differ, figures may differ for that reason alone" in printed


PAPERS = MULTISTEP | {"epochs.count": None, "epochs.steps": 64000}


def test_the_same_recipe_is_not_called_different(build, table):
    build.complete(test=0.9, **PAPERS, **layers(20, "pad"))
    printed = table("--published")
    assert rows(printed)[0]["against published"] == "test -1.25 pp (He et al. 2016, table 6)"
    assert "recipes differ" not in printed
    (study,) = load_studies(["runs"])
    (found,) = [finding for finding in find(study) if finding.kind == "published figure"]
    assert (found.facts["own"], found.facts["theirs"]) == (pytest.approx(90), pytest.approx(91.25))


@pytest.mark.parametrize(("warmup", "said"), [(400 / 64000, ""), (0.0, ", recipes differ: schedule")])
def test_the_papers_110_layers_have_the_same_recipe_only_with_warmup(build, table, warmup, said):
    build.complete(test=0.9, **PAPERS, **layers(110, "pad"), **{"schedule.warmup": warmup})
    own = rows(table("--published"))[0]["against published"]
    assert own == f"test -3.39 pp (He et al. 2016, table 6, mean of 5 runs){said}"


def test_steps_that_a_number_of_epochs_overrides_are_not_a_difference(build, table):
    build.complete(**{"epochs.steps": 64000})
    build.complete(**DEEP)
    assert "epochs.steps" not in table("runs")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"data.limit": 100}, "data"),
        ({"optimizer.lr": 0.01, "augmentation.cutout": 8}, "optimizer, augmentation"),
        ({"epochs.count": 1, "schedule.name": "cosine"}, "1 epoch against 20 epochs, schedule"),
        ({"schedule.warmup": 0.1}, "schedule"),
    ],
)
def test_differences_between_recipes_are_named(build, table, other, said):
    build.complete(val=0.84, **other)
    own = rows(table("--published"))[0]["against published"]
    assert own == f"val +0.08 pp (original project), recipes differ: {said}"


def test_a_key_of_the_identity_that_no_published_recipe_has_is_another_recipe(build, table):
    run = build.complete(val=0.84)
    assert rows(table("--published"))[0]["against published"] == "val +0.08 pp (original project)"
    build.add(run, "label_smoothing", 0.1)
    own = rows(table("--published"))[0]["against published"]
    assert own == "val +0.08 pp (original project), recipes differ: label smoothing"


def test_a_run_that_lacks_todays_keys_is_not_said_to_have_the_published_recipe(build, table):
    build.make_old(build.complete(val=0.84), "schedule.warmup")
    own = rows(table("--published"))[0]["against published"]
    assert own == "val +0.08 pp (original project), recipes differ: schedule"


def test_only_published_results_on_the_networks_of_a_study_are_shown(build, table):
    build.complete(study="mine", **{"model.width": 16})
    build.complete(study="original")
    build.complete(study="original", **DEEP)
    found = rows(table("--published"))
    assert [row["model"] for row in found] == ["blocks4", "blocks4", "blocks4", "blocks15", "blocks15"]
    assert [row["source"] for row in found[1:]] == ["", "original project"] * 2
    printed = table("--published", "runs/mine")
    assert "Nothing published on these networks is known here, only on others: resnet20, resnet32," in printed
    assert "blocks4, blocks15 (width 32, shortcut projection)." in printed


def test_our_mean_is_compared_with_the_published_mean_not_the_best(build, table):
    build.complete(test=0.93, **layers(110, "pad"))
    printed = table("--published")
    assert "test -0.39 pp" in printed and "93.39 ± 0.16" in printed


def test_the_table_says_if_nothing_is_published(build, table):
    build.complete(**{"data.name": "digits"})
    assert "Nothing published on digits is known here." in table("--published")


@pytest.mark.parametrize(
    ("by", "shortcut", "errors"),
    [  # test errors in per cent: table 6 of the paper (110 layers: the best of five), and the READMEs of the others
        ("He et al. 2016", "pad", {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43, 1202: 7.93}),
        ("techxzen", "pad", {20: 8.74, 32: 8.30, 44: 7.16, 56: 7.41}),
        ("techxzen", "none", {20: 10.08, 32: 11.15, 44: 14.12, 56: 15.39}),
        ("akamaster", "pad", {20: 8.27, 32: 7.37, 44: 6.90, 56: 6.61, 110: 6.32}),
    ],
)
def test_published_results_are_those_of_their_sources(by, shortcut, errors):
    published = read_published()
    assert published["source"].notna().all()
    theirs = published[(published["by"] == by) & (published["shortcut"] == shortcut)]
    theirs = theirs.drop_duplicates("depth", keep="last").set_index("depth")
    assert (100 - 100 * theirs["test_acc_mean"]).round(2).to_dict() == errors


def test_plain_networks_are_compared_with_published_plain_ones_and_residual_ones_with_the_papers(build, table):
    build.complete(test=0.44, **layers(56, "none"))
    build.complete(test=0.92, **layers(56, "pad"))
    printed = rows(table("--published"))
    assert {row["seeds"] for row in printed if row["source"].endswith("runs not stated")} == {"-"}
    own = {row["shortcut"]: row["against published"] for row in printed if not row["source"]}
    assert own["none"].startswith("test -40.61 pp (techxzen, runs not stated), recipes differ") and own[
        "pad"
    ].startswith("test -1.03 pp (He et al. 2016, table 6)")


def test_csv_has_plain_numbers_for_programs(build, table):
    for seed, test in enumerate((0.88, 0.89)):
        build.complete(seed, test=test, **DEEP)
    build.begin(2, done=3, **DEEP)
    build.complete(0, study="other")
    deep, other = csv.DictReader(io.StringIO(table("--format", "csv")))
    assert (deep["study"], deep["stages"], deep["n"], deep["unfinished"]) == ("depth", "5-5-5", "2", "1")
    assert float(deep["test_acc_mean"]) == pytest.approx(0.885)
    assert float(deep["test_acc_std"]) == pytest.approx(0.01 / 2**0.5)
    assert deep["parameters"] == "1860522" and other["test_acc_std"] == ""


def test_csv_has_published_rows_too(build, table):
    build.complete(val=0.8406)
    lines = list(csv.DictReader(io.StringIO(table("--format", "csv", "--published"))))
    assert float(lines[0]["val_acc_difference"]) == pytest.approx(0.14)
    assert lines[0]["other_recipe"] == "" and lines[0]["failed"] == "0"
    assert [line["source"] for line in lines[1:]] == ["original project"]


def test_a_list_at_the_start_of_a_latex_row_is_not_taken_for_a_length(build, table):
    for milestones in ([0.5], [0.5, 0.75]):
        build.complete(**{"schedule.milestones": milestones})
    rows = [line for line in table("--format", "latex").splitlines() if "[0.5" in line]
    assert len(rows) == 2 and all(row.startswith("{}[") for row in rows)


def test_a_csv_cannot_be_sorted_or_have_its_columns_chosen(build, table):
    build.complete()
    for option in ("--sort", "--columns"):
        with pytest.raises(SystemExit, match="2"):
            table("--format", "csv", option, "test_acc")


def test_latex_escapes_special_characters(build, table):
    for seed in (0, 1):
        build.complete(seed, study="seed_table", **{"optimizer.weight_decay": 0.1})
    build.complete(0, study="seed_table")
    printed = table("--format", "latex")
    assert r"\caption{seed\_table (cifar10)}" in printed and r"86.00 $\pm$ 0.00" in printed
    assert r"optimizer.weight\_decay" in printed and r"train acc (\%)" in printed
    body = printed[printed.index(r"\begin{tabular}") : printed.index(r"\end{tabular}")]
    columns = re.search(r"\{tabular\}\{([lr]+)\}", body).group(1)
    assert {line.count(" & ") for line in body.splitlines() if line.endswith(r"\\")} == {len(columns) - 1}


def test_a_name_with_a_bar_does_not_break_the_markdown(build, table):
    build.complete(**{"model.name": "a|b"})
    assert r"a\|b" in table()


def test_a_folder_of_any_name_has_its_table(build, table):
    for name in ("caf\udcff", "two\nlines"):  # the first is not UTF-8
        build.complete().parents[1].rename(build.root / name)
    titles = re.findall("^## .*", table(), re.MULTILINE)
    assert sorted(titles) == ["## caf\\udcff (cifar10)", "## two lines (cifar10)"]


TRIALS = {
    "limit": ({"data.limit": 100}, "cifar10, first 100 training images of each class"),
    "one": ({"data.limit": 1}, "cifar10, first training image of each class"),
    "split": ({"data.val_fraction": 0.2}, "cifar10, 20 % held out"),
    "no split": (
        {"data.val_fraction": 0.0, "data.limit": 9},
        "cifar10, first 9 training images of each class, nothing",
    ),
}


@pytest.mark.parametrize(("settings", "said"), TRIALS.values(), ids=TRIALS)
def test_part_of_the_data_is_not_called_the_whole(build, table, settings, said):
    build.complete(**settings)
    assert f"## depth ({said}" in table()
    assert said.replace("%", r"\%") in table("--format", "latex")
    (row,) = csv.DictReader(io.StringIO(table("--format", "csv")))
    assert (row["data_limit"], row["val_fraction"]) == (
        str(settings.get("data.limit", "")),
        str(settings.get("data.val_fraction", 0.1)),
    )


def test_a_study_of_the_whole_data_and_of_a_part_names_them_in_a_column(build, table):
    build.complete()
    build.complete(**{"data.limit": 100})
    printed = table()
    assert "## depth (cifar10)\n" in printed
    assert [row["data.limit"] for row in rows(printed)] == ["100", "null"]


def test_a_compiled_seed_beside_one_that_is_not_is_marked(build, table):
    for seed in (0, 1):
        build.amend(build.complete(seed), **({"compiled": True} if seed else {}))
    assert "(compiled: False (seed 0), True (seed 1))" in table()


def test_seeds_that_were_not_computed_in_the_same_way_are_marked(build, table):
    for seed, threads in enumerate((1, 2, 2)):
        for shortcut in ("projection", "none"):
            run = build.complete(seed, **{"model.shortcut": shortcut})
            build.amend(run, precision="bf16" if seed else "fp32", machine={"threads": threads})
        build.amend(build.complete(seed, **DEEP), machine={"threads": 2})
    printed = table()
    assert printed.count("were not all computed in the same way") == 1
    said = "precision: bf16 (seeds 1, 2), fp32 (seed 0); threads: 1 (seed 0), 2 (seeds 1, 2)"
    names = "10 layers, 2 stages, residual (projection); 10 layers, 2 stages, plain"
    assert f"The seeds of {names} were not all computed in the same way ({said})" in printed
    assert [line["mixed"] for line in csv.DictReader(io.StringIO(table("--format", "csv")))] == [said, said, ""]


def test_a_row_whose_seeds_had_different_code_or_data_says_so(build, table):
    for seed, (code, data) in enumerate(((A, A), (B, A), (None, A))):
        build.amend(build.complete(seed), code=code, data={"sha256": data})
    assert "code: aaaaaaaa (seed 0), bbbbbbbb (seed 1), unknown (seed 2))" in table()
    build.amend(build.complete(3), code=A, data={"sha256": B})
    assert "; data: aaaaaaaa (seeds 0, 1, 2), bbbbbbbb (seed 3))" in table()
    (row,) = csv.DictReader(io.StringIO(table("--format", "csv")))
    assert row["mixed"].startswith("code: ")


def test_two_runs_of_unknown_code_are_not_said_to_differ(build, table):
    for seed in (0, 1):
        build.complete(seed)
    build.complete(0, **DEEP)
    assert "code" not in table()


def test_rows_that_were_computed_by_different_code_are_pointed_out(build, table):
    build.amend(build.complete(), code=A)
    build.complete(**DEEP)
    assert "Not all configurations were computed by the same code (aaaaaaaa: 1, unknown: 1)" in table()


def test_different_data_sets_may_have_different_checksums(build, table):
    build.amend(build.complete(), data={"sha256": A})
    build.amend(build.complete(**{"data.name": "digits"}), data={"sha256": B})
    assert "the same data" not in table()


def test_a_run_that_several_versions_of_the_code_computed_says_so(build, table):
    run = build.complete()
    build.amend(run, code=B, data={"sha256": A})
    starts = [{"epoch": 0, "code": A, "data": A}, {"epoch": 3, "code": B, "data": A}]
    (run / "starts.jsonl").write_text("".join(json.dumps(start) + "\n" for start in starts) + '{"epoch": 5, "co')
    assert "(code: aaaaaaaa and bbbbbbbb (seed 0))" in table()


def test_a_run_that_continued_on_another_machine_says_so(build, table):
    run = build.complete()
    build.amend(run, machine={"threads": 1})
    machines = [{"epoch": 0, "machine": {"gpu": "A GPU", "threads": 8}}, {"epoch": 2, "machine": {"threads": 2}}]
    (run / "starts.jsonl").write_text("".join(json.dumps(start) + "\n" for start in machines))
    assert "(device: A GPU and cpu (seed 0); threads: 2 and 1 (seed 0))" in table()


def test_a_start_whose_epochs_were_lost_does_not_count(build, table):
    run = build.complete()
    build.amend(run, code=B)
    starts = [{"epoch": 0, "code": A}, {"epoch": 3, "code": A}, {"epoch": 0, "code": B}]
    (run / "starts.jsonl").write_text("".join(json.dumps(start) + "\n" for start in starts))
    assert "code" not in table()


def test_a_pivot_has_values_as_headers_and_says_where_runs_are_missing(build, table):
    for lr, size in itertools.product((0.1, 0.01), (64, 128)):
        for seed in (0, 1):
            finish = build.complete if (lr, size, seed) != (0.1, 64, 1) else build.fail
            finish(seed, **{"optimizer.lr": lr, "batch_size": size})
    printed = table("--pivot", "batch_size", "optimizer.lr")
    assert "test accuracy (%) by batch_size, and optimizer.lr across" in printed
    (first, _) = rows(printed)
    assert list(first) == ["batch_size", "0.01", "0.1"] and first["0.1"] == "83.00 (1 of 2)"


def test_the_notes_of_a_comparison_are_about_its_two_configurations(build, table):
    for depth, rates in (([1, 1, 1], (0.1, 0.01)), ([3, 3, 3], (0.1, 0.01)), ([9, 9, 9], (0.1,))):
        for lr in rates:
            network = {"model.name": f"blocks{sum(depth)}", "model.stages": depth, "optimizer.lr": lr}
            build.complete(val=0.8 + lr, **network)
    assert "only one value of optimizer.lr was tried: 56 layers: 0.1" in table("--best", "optimizer.lr")
    assert "only one value" not in table("--best", "optimizer.lr", "--compare", "blocks3", "blocks9")


def test_numbers_of_seeds_are_sorted_as_numbers_not_as_text(build, table):
    for lr, seeds in ((0.1, 10), (0.01, 3)):
        for seed in range(seeds):
            build.complete(seed, **{"optimizer.lr": lr})
    rows = [line for line in table("--sort", "seeds").splitlines() if line.startswith("|")][2:]
    assert [row.split("|")[-2].strip() for row in rows] == ["3", "10"]


def test_a_users_own_studies_come_before_those_of_the_reference(build, table):
    for study in ("reference/depth", "reference/a", "zero", "depth"):
        build.complete(study=study)
    titles = re.findall("^## (.*) ", table("runs"), re.MULTILINE)
    assert titles == ["depth", "zero", "reference/a", "reference/depth"]


@pytest.mark.parametrize("module", ["analysis.table", pytest.param("resnet.predict", marks=pytest.mark.slow)])
def test_help_is_printed_in_any_encoding(command, module):
    assert "\\u2026" in command(module, "--help", env={"PYTHONIOENCODING": "ascii"}).stdout


def test_a_closed_output_is_no_error(build, tmp_path):
    build.complete()
    for words in ([], ["--out", "table.md"]):
        command = shlex.join([sys.executable, "-m", "analysis.table", *words])
        done = subprocess.run(["sh", "-c", f"{command} >&-"], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "table.md").read_text().startswith("## depth")


def test_the_table_goes_to_a_file(build, table, tmp_path):
    build.complete()
    printed = table()
    assert table("--out", tmp_path / "table.md") == ""
    assert (tmp_path / "table.md").read_text() == printed


def test_an_interrupt_is_reported_in_one_word(build, monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("analysis.table.load_studies", interrupt)
    assert main(["runs"]) == 130 and capsys.readouterr().err == "stopped\n"


def test_the_command_starts_quickly_because_it_imports_nothing_slow_but_pandas(build, command):
    build.complete()
    done = command("analysis.table", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert "pandas" in imported(done) and not imported(done) & {"torch", "scipy", "matplotlib"}
    assert rows(done.stdout)[0]["model"] == "blocks4"
