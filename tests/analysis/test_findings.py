"""Made-up frames of which the right sentences are known, the one that nothing can be claimed among them."""

import numpy as np
import pandas as pd
import pytest

from analysis.claims.findings import find
from analysis.claims.trends import fit, reach, times
from analysis.frames.runs import COLUMNS, COUNTS, KEYS, LAYERS, METRICS

NO_EPOCHS = pd.DataFrame(columns=[*KEYS, *METRICS]).astype(dict.fromkeys(METRICS, float))
NO_LAYERS = pd.DataFrame(columns=[*KEYS, *LAYERS]).astype(dict.fromkeys(("epoch", "grad_norm", "response_std"), float))
DEEP = {"model": "blocks15", "stages": (5, 5, 5)}


def configuration(
    model="blocks6", stages=(2, 2, 2), width=32, shortcut="projection", test=(0.8,), **more
) -> pd.DataFrame:
    """Return complete runs of a configuration, a seed for each test accuracy; settings are dotted keys in `more`."""
    columns = {key: more.pop(key) for key in list(more) if "." not in key}
    settings = {"optimizer.lr": 0.001, "epochs.count": 20, **more, "model.width": width}
    name = f"{model}-{shortcut}-{abs(hash(str((settings, stages)))) % 10**8}"
    row = {
        "study": "s", "configuration": name, "status": "complete", "data": "cifar10", "model": model,
        "shortcut": shortcut, "stages": stages, "width": width, "blocks": sum(stages), "depth": 2 * sum(stages) + 2,
        "epochs": 20, "train_acc": 0.9, "val_acc": 0.8, "test_images": 10000, "precision": "fp32",
        "folder": f"runs/s/{name}",
        "settings": {"model.name": model, "model.stages": list(stages), "model.shortcut": shortcut, **settings},
    }  # fmt: skip
    seeds = [
        row | {"seed": seed, "test_acc": acc, "path": f"runs/s/{name}/seed{seed}"} for seed, acc in enumerate(test)
    ]
    frame = pd.DataFrame(seeds, columns=list(COLUMNS)).astype(dict.fromkeys(COUNTS, "Int64"))
    return frame.assign(**columns)


def sentences(*configurations, epochs=NO_EPOCHS, layers=NO_LAYERS, topic=None) -> list[str]:
    """Return what is found, about one topic or all."""
    found = find(pd.concat(configurations, ignore_index=True), epochs, layers)
    return [finding.text for finding in found if topic in (None, finding.topic)]


def by_epoch(runs: pd.DataFrame, losses) -> pd.DataFrame:
    """Return epochs of each run with such validation losses."""
    rows = [
        {**run[KEYS].to_dict(), "epoch": epoch, "val_loss": loss, "train_loss": 1.0}
        for _, run in runs.iterrows()
        for epoch, loss in enumerate(losses, start=1)
    ]
    return pd.DataFrame(rows, columns=NO_EPOCHS.columns)


def by_layer(runs: pd.DataFrame, norms) -> pd.DataFrame:
    """Return the layers of each run in two epochs, seeds a little apart, and a projection that must not count."""
    rows = [
        {**run[KEYS].to_dict(), "epoch": epoch, "layer": layer,
         "grad_norm": norm * (1 + 0.1 * run["seed"] * (layer == 1)), "response_std": np.nan if layer == 2 else 1.0}
        for _, run in runs.iterrows()
        for epoch in (1, 2)
        for layer, norm in enumerate(norms, start=1)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=NO_LAYERS.columns)


def test_a_clear_gain_from_depth_has_its_interval():
    found = sentences(configuration(test=(0.80, 0.802, 0.804)), configuration(**DEEP, test=(0.85, 0.853, 0.856)))
    assert found[0] == (
        "From 14 to 32 layers, the test accuracy of residual (projection) networks rises by 5.10 pp, "
        "which is more than the noise of seeds (95 % interval +4.49 to +5.71 pp, 3 and 3 seeds)."
    )


def test_noise_is_not_called_a_gain():
    (found,) = sentences(configuration(test=(0.80, 0.82)), configuration(**DEEP, test=(0.805, 0.826)), topic="Depth")
    assert "but no difference can be claimed: it could be noise (95 % interval -" in found
    assert "more than" not in found


def test_with_one_seed_no_interval_over_seeds_is_invented():
    (found,) = sentences(configuration(), configuration(**DEEP, test=(0.85,)), topic="Depth")
    assert (
        "rises by 5.00 pp in these runs (a single seed each). Whether that is noise is open: one seed tells nothing"
        in found
    )
    assert "The test images alone leave +3." in found and "95 %" not in found


def test_seeds_that_do_not_differ_leave_it_open():
    (found,) = sentences(configuration(test=(0.8, 0.8)), configuration(**DEEP, test=(0.8, 0.8)), topic="Depth")
    assert "Whether that is noise is open: the seeds do not differ at all." in found


def test_skip_connections_are_judged_at_the_least_and_the_greatest_common_depth():
    plain = {"shortcut": "none"}
    found = sentences(
        configuration(test=(0.80, 0.81)),
        configuration(test=(0.80, 0.81), **plain),
        configuration(**DEEP, test=(0.90, 0.91)),
        configuration(**DEEP, test=(0.70, 0.71), **plain),
        topic="Skip connections",
    )
    assert len(found) == 2
    assert found[0].startswith("At 14 layers") and "no difference can be claimed" in found[0]
    assert (
        "At 32 layers, the test accuracy of residual (projection) networks is above that of their plain twins by 20.00"
        in found[1]
    )
    assert sentences(configuration(), configuration(**DEEP, **plain), topic="Skip connections") == []


def depths(shortcut="none", **by_depth) -> list[pd.DataFrame]:
    """Return configurations of n blocks a stage, `n2=0.8` being validation, training and, nearly, test accuracy."""
    return [
        configuration(
            f"blocks{3 * int(n[1:])}", (int(n[1:]),) * 3, 32, shortcut, (acc, acc + 0.001), val_acc=acc
        ).assign(train_acc=[acc, acc + 0.001])
        for n, acc in by_depth.items()
    ]


def test_where_plain_networks_turn_down_is_chosen_by_validation_and_called_degradation_if_training_falls_too():
    turn, training = sentences(*depths(n1=0.80, n3=0.85, n5=0.83, n9=0.70), topic="Degradation")
    assert turn.startswith(
        "Of plain networks, those with 20 layers are best by validation. From there to 56 layers, their"
    )
    assert "test accuracy falls by 15.00 pp, which is more than the noise of seeds" in turn
    assert training.endswith("So this is degradation, not overfitting.")


def test_the_turn_is_not_chosen_by_what_it_is_judged_by():
    runs = depths(n1=0.80, n3=0.85, n9=0.70)
    runs[0] = runs[0].assign(test_acc=[0.90, 0.901])
    assert sentences(*runs, topic="Degradation")[0].startswith("Of plain networks, those with 20 layers are best")


def test_it_is_not_degradation_where_the_training_accuracy_rises():
    runs = depths(n1=0.80, n3=0.85, n9=0.70)
    runs[2] = runs[2].assign(train_acc=[0.95, 0.951])
    (turn,) = sentences(*runs, topic="Degradation")
    assert "test accuracy falls by 15.00 pp" in turn


def test_plain_networks_that_only_grow_do_not_turn_down():
    (found,) = sentences(*depths(n1=0.80, n3=0.83, n9=0.85), topic="Degradation")
    assert found == "Of plain networks, the deepest, with 56 layers, are best by validation: no turning point is seen."
    assert sentences(*depths("projection", n1=0.80, n3=0.85, n9=0.70), topic="Degradation") == []


def test_a_turn_that_may_be_noise_is_not_claimed():
    runs = depths(n1=0.80, n3=0.85, n9=0.8495)
    (found,) = sentences(*runs, topic="Degradation")
    assert "no difference can be claimed" in found and "degradation" not in found


def test_of_two_depths_the_training_accuracy_is_compared():
    (found,) = sentences(*depths(n3=0.85, n9=0.70), topic="Degradation")
    assert found.startswith("From 20 to 56 layers, the training accuracy of plain networks falls by 15.00 pp, which is")


def test_the_originals_step_is_set_beside_ones_own_of_the_same_recipe():
    shallow = configuration("blocks4", (2, 2), val_acc=0.85, test=(0.8, 0.81))
    deep = configuration(**DEEP, val_acc=0.88, test=(0.8, 0.81)).assign(val_acc=[0.89, 0.891])
    (found,) = sentences(shallow, deep, topic="Published")
    assert found.startswith(
        "From blocks4 to blocks15, the original project found +4.14 pp of validation accuracy (one seed, augmented "
        "images). With the same recipe, on unaugmented images, it rises by 4.05 pp, which is more than"
    )
    other = configuration(**DEEP, **{"optimizer.lr": 0.01})
    assert sentences(shallow, other, topic="Published") == sentences(deep, topic="Published") == []
    rounded = configuration("blocks4", (2, 2), val_acc=0.70, test=(0.8, 0.81), precision="bf16")
    in_bf16 = rounded.assign(
        settings=[row | {"precision": "bf16"} for row in rounded["settings"]], configuration="b", folder="runs/s/b"
    )
    assert sentences(shallow, deep, in_bf16, topic="Published") == [found]
    assert sentences(in_bf16, shallow, deep, topic="Published") == [found]


@pytest.mark.parametrize(
    ("deep", "said"),
    [
        ((0.98, 0.97), "rises by 7.50 pp, which is more than the noise of seeds"),
        ((0.95, 0.87), "rises by 1.00 pp, but no difference can be claimed"),
        ((0.82, 0.81), "falls by 8.50 pp, which is more than the noise of seeds"),
    ],
)
def test_the_gap_rises_only_where_it_does(deep, said):
    two = {"test": (0.8, 0.81)}
    shallow = configuration(**two).assign(train_acc=[0.90, 0.90])
    (found,) = sentences(shallow, configuration(**DEEP, **two).assign(train_acc=deep), topic="Training and validation")
    assert "+10.00 pp at 14 layers" in found and said in found


def test_the_gap_of_runs_without_validation_is_not_spoken_of():
    runs = [configuration(val_acc=np.nan), configuration(**DEEP, val_acc=np.nan)]
    assert sentences(*runs, topic="Training and validation") == []


LOSSES = {
    "falling": (
        [2 - 0.05 * epoch for epoch in range(20)],
        "was still falling",
        "(-0.050000 ± 0.000000 an epoch, last 5)",
    ),
    "rising": ([1 + 0.05 * epoch for epoch in range(20)], "was rising", "(+0.050000 ± 0.000000 an epoch, last 5)"),
    "slow": (
        [1 + 0.0015 * epoch + 0.0002 * (epoch % 2) for epoch in range(20)],
        "was rising",
        "(+0.001500 ± 0.000040 an epoch, last 5)",
    ),
    "flat": ([1 + 0.01 * (epoch % 2) for epoch in range(20)], "cannot be told", "± 0.0020 an epoch, last 5)"),
}


@pytest.mark.parametrize(("losses", "said", "slope"), LOSSES.values(), ids=LOSSES)
def test_whether_the_loss_was_still_falling_is_a_slope_with_its_error(losses, said, slope):
    runs = configuration()
    (found,) = sentences(runs, epochs=by_epoch(runs, losses), topic="Length of training")
    assert said in found and "blocks6, residual (projection)" in found and slope in found


def test_a_slope_is_that_of_the_last_quarter_and_agrees_with_the_textbook():
    losses = [5, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1.0, 1.2, 1.1, 1.4]
    slope = fit(by_epoch(configuration(), losses), "val_loss")
    assert (slope.value, slope.error) == (pytest.approx(0.11), pytest.approx(0.05196, abs=1e-5))  # by hand, n = 4
    assert slope.high - slope.value == pytest.approx(4.302653 * slope.error)
    for all_there_are in ([2, 1], [3, 2, 1]):
        assert fit(by_epoch(configuration(), all_there_are), "val_loss") is None
    assert fit(by_epoch(configuration(), [9, 3, 2, 1]), "val_loss").value == pytest.approx(-1)


def test_of_a_single_seed_is_said_what_the_test_images_leave_open():
    one, three = configuration(test=(0.8,)), configuration(**DEEP, test=(0.8, 0.81, 0.82))
    (found,) = sentences(one, three, topic="Runs")
    assert found.startswith("A single seed has no interval over seeds.")
    assert found.endswith(": blocks6, residual (projection), 79.20 to 80.77 %.")  # Wilson's, by hand, n = 10,000


def test_without_validation_the_training_loss_tells():
    runs = configuration()
    epochs = by_epoch(runs, [np.nan] * 20).assign(train_loss=LOSSES["falling"][0])
    (found,) = sentences(runs, epochs=epochs, topic="Length of training")
    assert found.startswith("The training loss was still falling over the last epochs")


def test_each_seed_has_its_own_level():
    runs = configuration(test=(0.8, 0.8))
    epochs = by_epoch(runs, [3.1, 3.0, 2.9, 2.8])
    epochs.loc[epochs["seed"] == 1, "val_loss"] += 5
    assert fit(epochs, "val_loss").value == pytest.approx(-0.1)


def test_of_many_configurations_some_are_named():
    runs = pd.concat(depths(**{f"n{n}": 0.8 for n in range(1, 10)}))
    (found,) = sentences(runs, epochs=by_epoch(runs, LOSSES["falling"][0]), topic="Length of training")
    assert found.count(" an epoch, last 5)") == 6 and found.endswith("; and 3 more.")


def test_the_gradient_of_the_first_layers_is_compared_as_a_ratio():
    residual, plain = configuration(test=(0.8, 0.8)), configuration(test=(0.8, 0.8), shortcut="none")
    layers = pd.concat([by_layer(residual, [1.0, 99, 1, 1.0]), by_layer(plain, [0.001, 99, 0.1, 1.0])])
    (found,) = sentences(residual, plain, layers=layers, topic="Gradients")
    assert "the first layers of residual (projection) networks get 1 times the gradient norm of the last ones" in found
    assert "those of their plain twins 0.001 times (geometric mean over epochs, 2 and 2 seeds)." in found
    assert "With skip connections that is 748 to 1,336 times more (95 % interval over seeds)." in found


def test_gradients_that_may_be_alike_are_not_told_apart():
    residual, plain = configuration(test=(0.8, 0.8)), configuration(test=(0.8, 0.8), shortcut="none")
    layers = pd.concat([by_layer(residual, [1.0, 99, 1.0]), by_layer(plain, [1.01, 99, 1.0])])
    (found,) = sentences(residual, plain, layers=layers, topic="Gradients")
    assert found.endswith("No difference between them can be claimed: it could be noise.")
    single = [side[side["seed"] == 0] for side in (residual, plain)]
    assert sentences(*single, layers=layers, topic="Gradients")[0].endswith("How other seeds would have it is open.")
    assert sentences(residual, layers=layers, topic="Gradients") == []


def test_first_and_last_layers_are_a_tenth_each():
    runs = configuration()
    norms = [10.0, 99.0, 10.0, *[1.0] * 16, 0.1, 0.1]  # 20 layers and a projection
    assert reach(by_layer(runs, norms)).iloc[0] == pytest.approx(2)
    one_each = [10.0, 99.0, *[1.0] * 11, 0.1]  # 13 layers, of which a tenth is one at either end
    assert reach(by_layer(runs, one_each)).iloc[0] == pytest.approx(2)
    assert reach(by_layer(runs, [0.0, *norms[1:]])).empty  # a first layer without a gradient is not left out
    assert (times(0.0123), times(3.21), times(1234.5)) == ("0.012", "3.2", "1,234")


def test_what_else_differs_is_named():
    (found,) = sentences(configuration("blocks4", (2, 2)), configuration(**DEEP), topic="What the comparison mixes")
    assert found == (
        "blocks4, residual (projection) and blocks15, residual (projection) differ in more than one thing: "
        "blocks per stage ([2,2] against [5,5,5]), stages (2 against 3), width of the last stage (64 against 128). "
        "The data do not tell which of these makes a difference between them."
    )


def test_single_changes_and_chains_of_them_are_not_confounded():
    plain = {"shortcut": "none"}
    grid = [configuration(), configuration(**DEEP), configuration(**plain), configuration(**DEEP, **plain)]
    assert sentences(*grid, configuration(width=8), topic="What the comparison mixes") == []
    twice = configuration(width=8, **{"optimizer.lr": 0.1})
    (found,) = sentences(*grid, twice, topic="What the comparison mixes")
    assert "model.width" in found and "optimizer.lr" in found and "width of the last stage" not in found


def test_seeds_in_different_precisions_are_named():
    mixed = configuration(test=(0.8, 0.81, 0.82)).assign(precision=["bf16", "bf16", "fp32"])
    (found,) = sentences(mixed, topic="What the comparison mixes")
    assert found == (
        "The seeds of blocks6 (projection) were not all computed in the same way "
        "(precision: bf16 (seeds 0, 1), fp32 (seed 2)): their deviation is not that of seeds alone."
    )
    found = sentences(configuration(), configuration(**DEEP, precision="bf16"), topic="What the comparison mixes")
    assert found == [
        "Not all configurations ran in the same precision (1 in bf16 and 1 in fp32), which is another difference "
        "between them."
    ]
    wide = configuration(width=64, test=(0.8, 0.81)).assign(precision=["bf16", "fp32"])
    kinds = [configuration(), configuration(**DEEP, precision="bf16"), wide]
    assert found[0] in sentences(*kinds, topic="What the comparison mixes")


def test_configurations_compiled_and_not_are_counted():
    runs = configuration().assign(compiled=False), configuration(**DEEP).assign(compiled=True)
    assert sentences(*runs, topic="What the comparison mixes") == [
        "Not all configurations were compiled (1 were and 1 were not), which rounds differently in them."
    ]


def test_runs_that_do_not_count_are_counted_and_left_out():
    runs = configuration(test=(0.8, 0.9, 0.9)).assign(status=["complete", "diverged", "unfinished"])
    found = sentences(runs, configuration(**DEEP, test=(0.85,)))
    assert found[-1] == (
        "Not in any figure of the last epoch, because they are not complete: 1 unfinished, 1 diverged."
    )
    assert "rises by 5.00 pp" in found[0]
    assert sentences(runs.assign(status="failed")) == ["No run is complete, so nothing can be said yet."]


def test_the_same_training_under_two_names_counts_once():
    two = [configuration(test=(0.80, 0.82)), configuration(**DEEP, test=(0.83, 0.87))]
    again = configuration("mine", DEEP["stages"], test=(0.83, 0.87))
    layers = pd.concat([by_layer(runs, [1.0, 99, 1, 1.0]) for runs in (*two, again)])
    for topic in ("Depth", "Training and validation", "Gradients"):
        assert sentences(*two, again, layers=layers, topic=topic) == sentences(*two, layers=layers, topic=topic)
    (found,) = sentences(*two, again, topic="Depth")
    assert "2 and 2 seeds" in found and "no difference can be claimed" in found


def test_recipes_are_not_mixed():
    found = sentences(configuration(), configuration(**DEEP, **{"optimizer.lr": 0.1}), topic="Depth")
    assert found == []
    pair = [configuration(**{"optimizer.lr": 0.1}), configuration(**DEEP, **{"optimizer.lr": 0.1})]
    (found,) = sentences(configuration(), *pair, topic="Depth")
    assert "residual (projection) networks with optimizer.lr=0.1 rises by 0.00 pp" in found
