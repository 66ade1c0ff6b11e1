"""Findings about made-up frames with known answers, including that nothing can be claimed. Wording: test_wording.py."""

from dataclasses import replace
from zlib import crc32

import numpy as np
import pandas as pd
import pytest

from analysis.claims.depth import rule_out_overfitting
from analysis.claims.finding import BEYOND, Finding
from analysis.claims.findings import find
from analysis.claims.gradients import first_over_last
from analysis.claims.several import apply_holm
from analysis.frames.rows import COLUMNS, COUNTS
from analysis.frames.statistics import Difference
from analysis.frames.study import Study, load_studies
from analysis.frames.tables import KEYS, LAYERS

NUMBERS = ("epoch", "grad_norm", "response_std")
NO_LAYERS = pd.DataFrame(columns=[*KEYS, *LAYERS]).astype(dict.fromkeys(NUMBERS, float))
DEEP = {"model": "blocks15", "stages": (5, 5, 5)}
PLAIN = {"shortcut": "none"}


def configuration(
    model="blocks6", stages=(2, 2, 2), width=32, shortcut="projection", test=(0.8,), **more
) -> pd.DataFrame:
    """Return complete runs of a configuration, one seed per test accuracy; dotted keys in `more` are settings."""
    columns = {key: more.pop(key) for key in list(more) if "." not in key}
    settings = {"optimizer.lr": 0.001, "epochs.count": 20, **more, "model.width": width}
    name = f"{model}-{shortcut}-{crc32(str((settings, stages)).encode()):08x}"
    settings = {"model.name": model, "model.stages": list(stages), "model.shortcut": shortcut, **settings}
    row = {
        "study": "s", "configuration": name, "status": "complete", "data": "cifar10", "model": model,
        "shortcut": shortcut, "stages": stages, "width": width, "blocks": sum(stages), "depth": 2 * sum(stages) + 2,
        "epochs": 20, "train_acc": 0.9, "val_acc": 0.8, "test_images": 10000, "precision": "fp32",
        "folder": f"runs/s/{name}", "settings": settings, "config": settings, "identity": more, "choices": {},
    }  # fmt: skip
    seeds = [
        row | {"seed": seed, "test_acc": acc, "path": f"runs/s/{name}/seed{seed}"} for seed, acc in enumerate(test)
    ]
    frame = pd.DataFrame(seeds, columns=list(COLUMNS)).astype(dict.fromkeys(COUNTS, "Int64"))
    return frame.assign(**columns)


def findings(*configurations, layers=NO_LAYERS, topic=None) -> list[Finding]:
    """Return the findings on one topic, or on all."""
    study = Study("s", pd.concat(configurations, ignore_index=True))
    vars(study)["layers"] = layers  # instead of reading them from run folders
    found = find(study)
    return [finding for finding in found if topic in (None, finding.topic)]


def kinds(*configurations, **more) -> list[str]:
    return [finding.kind for finding in findings(*configurations, **more)]


def interval(finding: Finding) -> tuple[float, float, float]:
    """Return the difference of a finding and its interval, in points to two decimals."""
    found = finding.difference
    return round(found.points, 2), round(found.low, 2), round(found.high, 2)


def by_layer(runs: pd.DataFrame, norms) -> pd.DataFrame:
    """Return the layers of each run before training and in two epochs, with a projection that must not count.

    Seeds differ slightly; before training, the gradient of the first layer is about ten times as large.
    """
    rows = [
        {**run[KEYS].to_dict(), "epoch": epoch, "layer": layer, "name": "blocks.0.shortcut" if layer == 2 else "conv",
         "grad_norm": norm * (1 + (0.1 * run["seed"] + 9 * (epoch == 0)) * (layer == 1))}
        for _, run in runs.iterrows()
        for epoch in (0, 1, 2)
        for layer, norm in enumerate(norms, start=1)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=NO_LAYERS.columns)


def test_a_clear_gain_from_depth_has_its_interval():
    (found,) = findings(configuration(test=(0.80, 0.802, 0.804)), configuration(**DEEP, test=(0.85, 0.853, 0.856)))[:1]
    assert (found.kind, found.networks, found.depths) == ("gain", "residual (projection) networks", (14, 32))
    assert interval(found) == (5.10, 4.49, 5.71)
    assert found.seeds == (3, 3) and found.difference.verdict == "more" and len(found.configurations) == 2


def test_the_correction_takes_the_larger_p_of_the_two_that_a_verdict_needs():
    images = Difference(5, 4, 6, 0.001, with_images=(0.1, 9.9), p_with_images=0.045)
    seeds = Difference(5, 4, 6, 0.001)
    marked = apply_holm([Finding("gain", difference=images), Finding("gain", difference=seeds)])
    assert marked[-1].facts == {"count": 2, "clear": 2, "held": 2}
    marked = apply_holm([Finding("gain", difference=images)] * 2)
    assert marked[-1].facts["held"] == 0 and marked[0].facts["one_of"] == 2


def plateau(**by_depth) -> tuple[int, float] | None:
    """Return the depth from which no further rise is found, and how many points higher the deepest is."""
    gain, *_ = findings(*depths("projection", **by_depth), topic="Depth")
    depth, further, _ = gain.facts.get("plateau", (None, None, None))
    return depth and (depth, round(further.points, 2))


def test_a_rise_names_the_depth_from_which_no_further_rise_is_found():
    assert plateau(n1=0.80, n2=0.83, n3=0.85, n9=0.8505) == (20, 0.05)
    assert plateau(n1=0.80, n2=0.851, n3=0.85, n9=0.8505) == (14, -0.05)
    assert plateau(n1=0.80, n2=0.87, n3=0.85, n9=0.8505) == (14, -1.95)  # a fall is not a rise
    assert plateau(n1=0.80, n2=0.83, n3=0.87, n9=0.8305) == (20, -3.95)  # 56 layers match 14, but 20 are better


def test_no_plateau_is_named_if_accuracy_rises_to_the_end_or_falls_overall():
    assert plateau(n1=0.80, n3=0.85, n9=0.90) is None
    assert plateau(n1=0.80, n3=0.90, n9=0.70) is None
    assert plateau(n1=0.80, n2=0.90, n3=0.85, n9=0.90) is None  # the deepest is better than the one before it


def test_noise_is_not_called_a_gain():
    (found,) = findings(configuration(test=(0.80, 0.82)), configuration(**DEEP, test=(0.805, 0.826)), topic="Depth")
    assert found.difference.verdict == "noise"


def test_with_one_seed_no_interval_over_seeds_is_invented():
    (found,) = findings(configuration(), configuration(**DEEP, test=(0.85,)), topic="Depth")
    assert found.difference.verdict == "open" and found.seeds == (1, 1)
    assert round(found.difference.points, 2) == 5 and 3 < found.difference.low < 4  # the test images' interval


def test_seeds_that_do_not_differ_leave_the_verdict_open():
    (found,) = findings(configuration(test=(0.8, 0.8)), configuration(**DEEP, test=(0.8, 0.8)), topic="Depth")
    assert found.difference.verdict == "open" and found.seeds == (2, 2)


def test_skip_connections_are_judged_at_the_least_and_the_greatest_common_depth():
    shallow, deep, interaction = findings(
        configuration(test=(0.80, 0.81)),
        configuration(test=(0.80, 0.81), **PLAIN),
        configuration(**DEEP, test=(0.90, 0.91)),
        configuration(**DEEP, test=(0.70, 0.71), **PLAIN),
        topic="Skip connections",
    )
    assert shallow.depths == (14,) and shallow.difference.verdict == "noise"
    assert deep.depths == (32,) and deep.difference.verdict == "more" and round(deep.difference.points, 2) == 20
    assert interaction.depths == (14, 32) and interaction.difference.verdict == "more"
    assert interval(interaction) == (20.0, 17.22, 22.78)  # four cells, each with a variance of 0.5 over two seeds
    assert findings(configuration(), configuration(**DEEP, **PLAIN), topic="Skip connections") == []


def depths(shortcut="none", **by_depth) -> list[pd.DataFrame]:
    """Return configurations of n blocks per stage; `n2=0.8` sets all of their accuracies to about 0.8."""
    return [
        configuration(
            f"blocks{3 * int(n[1:])}", (int(n[1:]),) * 3, 32, shortcut, (acc, acc + 0.001), val_acc=acc
        ).assign(train_acc=[acc, acc + 0.001])
        for n, acc in by_depth.items()
    ]


def test_the_turning_point_is_chosen_by_validation_and_called_degradation_if_training_falls_too():
    turn, training, end = findings(*depths(n1=0.80, n3=0.85, n5=0.83, n9=0.70), topic=BEYOND)
    assert (turn.kind, training.kind, end.kind) == ("turn", "degradation", "not overfitting")
    assert turn.depths == training.depths == (20, 56)
    assert turn.difference.verdict == "less" and round(turn.difference.points, 2) == -15


@pytest.mark.parametrize(
    ("turn", "training", "low", "follows"),
    [(0, 0, -6, True), (1, 0, -6, False), (0, 1, -6, False), (0, 0, -20, False)],
)
def test_overfitting_is_ruled_out_only_if_both_falls_are_clear_and_survive_the_correction(turn, training, low, follows):
    falls = [
        Finding("turn", "plain networks", difference=Difference(-5, low, -10 - low, 0.01)),
        Finding("degradation", "plain networks", difference=Difference(-5, -6, -4, 0.001)),
    ]
    falls = [replace(fall, facts={"one_of": 8} if lost else {}) for fall, lost in zip(falls, (turn, training))]
    assert ("not overfitting" in [found.kind for found in rule_out_overfitting(falls)]) is follows


def test_the_turning_point_is_not_chosen_by_the_test_accuracy_it_is_judged_by():
    runs = depths(n1=0.80, n3=0.85, n9=0.70)
    runs[0] = runs[0].assign(test_acc=[0.90, 0.901])
    assert findings(*runs, topic=BEYOND)[0].depths == (20, 56)


def test_it_is_not_degradation_if_the_training_accuracy_rises():
    runs = depths(n1=0.80, n3=0.85, n9=0.70)
    runs[2] = runs[2].assign(train_acc=[0.95, 0.951])
    assert kinds(*runs, topic=BEYOND) == ["turn"]


def test_plain_networks_that_only_improve_have_no_turning_point():
    (found,) = findings(*depths(n1=0.80, n3=0.83, n9=0.85), topic=BEYOND)
    assert (found.kind, found.depths) == ("no turn", (56,))
    assert findings(*depths("projection", n1=0.80, n3=0.85, n9=0.70), topic=BEYOND) == []


def test_a_turning_point_that_may_be_noise_is_not_claimed():
    (found,) = findings(*depths(n1=0.80, n3=0.85, n9=0.8495), topic=BEYOND)
    assert found.kind == "turn" and found.difference.verdict == "noise"


def test_two_depths_are_compared_by_training_accuracy():
    found, _ = findings(*depths(n3=0.85, n9=0.70), topic="Training and validation")
    assert (found.kind, found.depths) == ("training", (20, 56))
    assert found.difference.verdict == "less" and round(found.difference.points, 2) == -15


def test_a_published_step_is_compared_with_our_own_of_the_same_recipe():
    shallow = configuration("blocks4", (2, 2), val_acc=0.85, test=(0.8, 0.81))
    deep = configuration(**DEEP, val_acc=0.88, test=(0.8, 0.81)).assign(val_acc=[0.89, 0.891])
    (found,) = findings(shallow, deep, topic="Published")
    assert found.facts["models"] == ("blocks4", "blocks15") and round(found.facts["points"], 2) == 4.14
    assert found.difference.verdict == "more" and round(found.difference.points, 2) == 4.05
    other = configuration(**DEEP, **{"optimizer.lr": 0.01})
    assert findings(shallow, other, topic="Published") == findings(deep, topic="Published") == []
    smooth = configuration(**DEEP, **{"label_smoothing.factor": 0.1})
    assert findings(shallow, smooth, topic="Published") == []
    rounded = configuration("blocks4", (2, 2), val_acc=0.70, test=(0.8, 0.81), precision="bf16")
    in_bf16 = rounded.assign(
        settings=[row | {"precision": "bf16"} for row in rounded["settings"]], configuration="b", folder="runs/s/b"
    )
    assert findings(shallow, deep, in_bf16, topic="Published") == [found]
    assert findings(in_bf16, shallow, deep, topic="Published") == [found]


@pytest.mark.parametrize(
    ("deep", "points", "verdict"),
    [((0.98, 0.97), 7.5, "more"), ((0.95, 0.87), 1, "noise"), ((0.82, 0.81), -8.5, "less")],
)
def test_the_gap_may_rise_or_fall_or_be_noise(deep, points, verdict):
    two = {"test": (0.8, 0.81)}
    shallow = configuration(**two).assign(train_acc=[0.90, 0.90])
    _, found = findings(shallow, configuration(**DEEP, **two).assign(train_acc=deep), topic="Training and validation")
    assert (found.kind, found.difference.verdict) == ("gap", verdict)
    assert found.facts["points"] == pytest.approx((10, 10 + points))
    assert found.difference.points == pytest.approx(points)


def test_runs_without_validation_have_no_gap():
    runs = [configuration(val_acc=np.nan), configuration(**DEEP, val_acc=np.nan)]
    assert "gap" not in kinds(*runs)


def test_a_single_seed_has_the_interval_of_its_test_images():
    one, three = configuration(test=(0.8,)), configuration(**DEEP, test=(0.8, 0.81, 0.82))
    (found,) = findings(one, three, topic="Runs")
    (label, interval) = next(iter(found.facts["intervals"].items()))
    assert found.kind == "single seeds" and label == "14 layers"
    assert interval == pytest.approx((0.7920, 0.8077), abs=5e-5)  # Wilson's, by hand, n = 10,000


def test_the_gradient_of_the_first_layers_is_compared_as_a_ratio():
    residual, plain = configuration(test=(0.8, 0.8)), configuration(test=(0.8, 0.8), **PLAIN)
    layers = pd.concat([by_layer(residual, [1.0, 99, 1, 1.0]), by_layer(plain, [0.001, 99, 0.1, 1.0])])
    (found,) = findings(residual, plain, layers=layers, topic="Gradients")
    assert found.depths == (14,) and found.seeds == (2, 2) and found.networks == "residual (projection) networks"
    assert found.facts["ratios"] == pytest.approx((0.00105, 1.05), rel=1e-2) and found.difference.verdict == "more"
    assert found.facts["before"] == pytest.approx((0.01005, 10.05), rel=1e-3)
    low, high = (10 ** (bound / 100) for bound in (found.difference.low, found.difference.high))
    assert (low, high) == pytest.approx((748, 1336), rel=1e-3)


def test_gradients_that_may_be_equal_are_not_claimed_to_differ():
    residual, plain = configuration(test=(0.8, 0.8)), configuration(test=(0.8, 0.8), **PLAIN)
    layers = pd.concat([by_layer(residual, [1.0, 99, 1.0]), by_layer(plain, [1.01, 99, 1.0])])
    (found,) = findings(residual, plain, layers=layers, topic="Gradients")
    assert found.difference.verdict == "noise"
    single = [side[side["seed"] == 0] for side in (residual, plain)]
    assert findings(*single, layers=layers, topic="Gradients")[0].difference.verdict == "open"
    assert findings(residual, layers=layers, topic="Gradients") == []


def test_first_and_last_layers_are_a_tenth_each():
    runs = configuration()
    norms = [10.0, 99.0, 10.0, *[1.0] * 16, 0.1, 0.1]  # 20 layers and a projection
    assert first_over_last(by_layer(runs, norms)).iloc[0] == pytest.approx(2)
    one_each = [10.0, 99.0, *[1.0] * 11, 0.1]  # 13 layers: a tenth is one layer at either end
    assert first_over_last(by_layer(runs, one_each)).iloc[0] == pytest.approx(2)
    assert first_over_last(by_layer(runs, [0.0, *norms[1:]])).empty  # a layer without a gradient is not skipped


def test_everything_else_that_differs_is_named():
    (found,) = findings(configuration("blocks4", (2, 2)), configuration(**DEEP), topic="Confounds")
    assert found.kind == "confound"
    assert found.facts["labels"] == ("10 layers, 2 stages", "32 layers, 3 stages")
    assert found.facts["changes"] == {
        "blocks per stage": ([2, 2], [5, 5, 5]),
        "stages": (2, 3),
        "width of the last stage": (64, 128),
    }


def test_a_length_in_epochs_and_one_in_steps_are_a_single_difference():
    steps = {"epochs.count": None, "epochs.steps": 1000}
    assert "confound" not in kinds(configuration(), configuration(**steps))


def test_single_changes_and_chains_of_them_are_not_confounded():
    grid = [configuration(), configuration(**DEEP), configuration(**PLAIN), configuration(**DEEP, **PLAIN)]
    assert findings(*grid, configuration(width=8), topic="Confounds") == []
    twice = configuration(width=8, **{"optimizer.lr": 0.1})
    (found,) = findings(*grid, twice, topic="Confounds")
    assert list(found.facts["changes"]) == ["optimizer.lr", "model.width"]


def test_of_many_confounds_some_are_named_and_the_others_counted():
    runs = [configuration(width=2**n, **{"optimizer.lr": 10.0**-n}) for n in range(1, 5)]
    *named, rest = findings(*runs, topic="Confounds")
    assert [found.kind for found in named] == ["confound"] * 5
    assert (rest.kind, rest.facts) == ("more confounds", {"count": 1})


def test_seeds_in_different_precisions_are_named():
    mixed = configuration(test=(0.8, 0.81, 0.82)).assign(precision=["bf16", "bf16", "fp32"])
    (found,) = findings(mixed, topic="Confounds")
    assert found.kind == "mixed seeds" and found.facts["mixed_labels"] == ["blocks6"]
    assert found.facts["how"] == "precision: bf16 (seeds 0, 1), fp32 (seed 2)"
    (found,) = findings(configuration(), configuration(**DEEP, precision="bf16"), topic="Confounds")
    assert (found.kind, found.facts["counts"]) == ("mixed precision", {"bf16": 1, "fp32": 1})
    wide = configuration(width=64, test=(0.8, 0.81)).assign(precision=["bf16", "fp32"])
    both = [configuration(), configuration(**DEEP, precision="bf16"), wide]
    assert found in findings(*both, topic="Confounds")


def test_configurations_compiled_and_not_are_counted():
    runs = configuration().assign(compiled=False), configuration(**DEEP).assign(compiled=True)
    (found,) = findings(*runs, topic="Confounds")
    assert (found.kind, found.facts["counts"]) == ("mixed compiled", {False: 1, True: 1})


@pytest.mark.parametrize(("column", "name"), [("code", "code"), ("data_sha256", "data")])
def test_a_finding_about_runs_of_other_code_or_data_says_so(column, name):
    old, new = configuration(test=(0.8, 0.81)), configuration(**DEEP, test=(0.85, 0.86))
    assert all(found.programs == () for found in findings(old, new))
    told = findings(old, new.assign(**{column: "12345678"}))  # unknown for the others
    assert {found.kind: found.programs for found in told}["gain"] == (name,)
    (mixed,) = [found for found in told if found.kind == f"mixed {name}"]
    assert mixed.facts["counts"] == {"12345678": 1, "unknown": 1}
    same = [runs.assign(**{column: "12345678"}) for runs in (old, new)]
    assert all(found.programs == () for found in findings(*same))


def test_incomplete_runs_are_counted_and_left_out():
    runs = configuration(test=(0.8, 0.9, 0.9)).assign(status=["complete", "diverged", "unfinished"])
    gain, *_, incomplete = findings(runs, configuration(**DEEP, test=(0.85,)))
    assert incomplete.facts["counts"] == {"unfinished": 1, "failed": 0, "diverged": 1, "damaged": 0}
    assert round(gain.difference.points, 2) == 5 and gain.facts["left out"] == 1
    assert kinds(runs.assign(status="failed")) == ["nothing complete", "incomplete"]


def test_the_same_training_under_two_names_counts_once():
    two = [configuration(test=(0.80, 0.82)), configuration(**DEEP, test=(0.83, 0.87))]
    again = configuration("mine", DEEP["stages"], test=(0.83, 0.87))
    layers = pd.concat([by_layer(runs, [1.0, 99, 1, 1.0]) for runs in (*two, again)])
    for topic in ("Depth", "Training and validation", "Gradients"):
        assert findings(*two, again, layers=layers, topic=topic) == findings(*two, layers=layers, topic=topic)
    (found,) = findings(*two, again, topic="Depth")
    assert found.seeds == (2, 2) and found.difference.verdict == "noise"


def test_recipes_are_not_mixed():
    (found,) = findings(configuration(), configuration(**DEEP, **{"optimizer.lr": 0.1}), topic="Depth")
    assert found.facts["also"] == {"optimizer.lr": (0.001, 0.1)}  # it changes with the depth, and the finding says so
    pair = [configuration(**{"optimizer.lr": 0.1}), configuration(**DEEP, **{"optimizer.lr": 0.1})]
    (found,) = findings(configuration(), *pair, topic="Depth")
    assert found.networks == "residual (projection) networks with optimizer.lr=0.1"
    assert found.difference.points == 0


DEPTHS = {3: [1, 1, 1], 9: [3, 3, 3]}


def test_a_key_that_half_of_the_runs_lack_does_not_split_a_series(build):
    for blocks, stages in DEPTHS.items():
        for seed in (0, 1):
            run = build.complete(seed, test=0.8 + blocks / 100, **{"model.stages": stages})
            if blocks == 9 or seed == 1:
                build.add(run, "augmentation.mixup", 0.0, identity=False)
    (study,) = load_studies(["runs"])
    gain = find(study)[0]
    assert (gain.kind, gain.depths, gain.seeds) == ("gain", (8, 20), (2, 2))
    assert gain.networks == "residual (projection) networks"


def test_an_unknown_key_of_the_identity_is_another_recipe(build):
    for blocks, stages in DEPTHS.items():
        run = build.complete(test=0.8 + blocks / 100, **{"model.stages": stages})
        if blocks == 9:
            build.add(run, "augmentation.label_smoothing", 0.1)
    (study,) = load_studies(["runs"])
    found = find(study)
    (gain,) = [finding for finding in found if finding.kind == "gain"]
    assert gain.facts["also"] == {"augmentation.label_smoothing": ("default", 0.1)}
    (confound,) = [finding for finding in found if finding.kind == "confound"]
    assert confound.facts["changes"]["augmentation.label_smoothing"] == ("default", 0.1)


def test_multiple_comparisons_are_counted_and_corrected_for():
    found = findings(
        configuration(test=(0.80, 0.801, 0.802)),
        configuration(test=(0.7, 0.71, 0.72), **PLAIN),
        configuration(**DEEP, test=(0.9, 0.901, 0.902)),
        configuration(**DEEP, test=(0.68, 0.69, 0.70), **PLAIN),
    )
    judged = [finding.difference for finding in found if finding.difference is not None and finding.difference.p]
    (several,) = [finding for finding in found if finding.kind == "several"]
    facts = several.facts
    assert facts["count"] == len(judged)
    assert facts["clear"] == sum(difference.p < 0.05 for difference in judged)
    assert 0 < facts["held"] <= facts["clear"]
    assert sum(difference.p < 0.05 / len(judged) for difference in judged) <= facts["held"]
    assert "several" not in kinds(configuration(test=(0.80, 0.81)))


def test_the_deviation_is_pooled_over_networks_of_one_kind_only():
    shallow = configuration(test=(0.80, 0.82, 0.84))
    deep = configuration(**DEEP, test=(0.90, 0.92, 0.94))
    plain = configuration(**DEEP, test=(0.50, 0.60, 0.70), **PLAIN)
    (found,) = findings(shallow, deep, plain, topic="Noise")[-1:]
    assert (found.kind, found.networks, found.facts["count"]) == ("spread", "residual networks", 2)
    assert found.facts["std"] == pytest.approx(2)
    steady = configuration(**DEEP, test=(0.90, 0.90, 0.90))
    assert {"spread", "no spread"}.isdisjoint(kinds(shallow, steady, topic="Noise")), "nothing to test without spread"
    noisy = configuration(**DEEP, test=(0.10, 0.50, 0.90))
    assert kinds(shallow, noisy, topic="Noise")[-1] == "no spread"
