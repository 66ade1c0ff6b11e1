"""Which axes made-up studies vary, in which order, and which settings depend on them."""

import random

from analysis.frames.axes import find_axes

STAGES = {8: (1, 1, 1), 20: (3, 3, 3), 56: (9, 9, 9)}
SGD = {"optimizer.name": "sgd", "optimizer.momentum": 0.9, "optimizer.weight_decay": 1e-4}
ADAM = {"optimizer.name": "adam", "optimizer.momentum": 0.0, "optimizer.weight_decay": 0.0}


def row(layers=8, shortcut="pad", choices=None, **settings):
    """Return a configuration as find_axes needs it; settings have dotted keys, with `__` for the dot."""
    settings = {key.replace("__", "."): value for key, value in settings.items()}
    return {
        "depth": layers, "stages": STAGES[layers], "shortcut": shortcut, "settings": settings, "config": settings,
        "choices": choices or {},
    }  # fmt: skip


def axes(rows, **more):
    """Return the axes with their values, and the names of the settings that depend on them."""
    found = find_axes(rows, **more)
    return {axis.name: axis.values for axis in found.axes}, [axis.name for axis in found.dependent]


def test_a_full_grid_has_its_axes_in_order():
    rows = [row(n, cut, optimizer__lr=lr) for lr in (0.1, 0.01, 1e-3) for n in (56, 8) for cut in ("none", "pad")]
    expected = {"layers": (8, 56), "shortcut": ("pad", "none"), "optimizer.lr": (0.001, 0.01, 0.1)}
    assert axes(rows) == (expected, [])


def test_a_named_choice_stands_for_its_keys():
    rows = [row(choices={"optimizer": keys["optimizer.name"]}, **keys) for keys in (SGD, ADAM)]
    assert axes(rows) == ({"optimizer": ("adam", "sgd")}, [])
    assert axes([entry | {"choices": {}} for entry in rows])[0] == {"optimizer": ("adam", "sgd")}  # runs from Python


def test_a_key_that_varies_within_a_choice_is_its_own_axis():
    rows = [
        row(choices={"optimizer": keys["optimizer.name"]}, **keys, optimizer__lr=lr)
        for keys, lrs in ((SGD, (0.1, 0.03)), (ADAM, (0.001,)))
        for lr in lrs
    ]
    assert axes(rows)[0] == {"optimizer": ("adam", "sgd"), "optimizer.lr": (0.001, 0.03, 0.1)}
    cutouts = [("none", 0), ("cutout", 8), ("cutout", 16)]
    rows = [
        row(choices={"augmentation": name}, augmentation__flip=name != "none", augmentation__cutout=size)
        for name, size in cutouts
    ]
    assert axes(rows)[0] == {"augmentation": ("none", "cutout"), "augmentation.cutout": (0, 8, 16)}


def test_ragged_grids_have_the_axes_of_each_part():
    """Momentum is swept for one optimizer, the rate for the other."""
    sgd = [row(choices={"optimizer": "sgd"}, **SGD | {"optimizer.momentum": m}, optimizer__lr=0.1) for m in (0.0, 0.9)]
    adam = [row(choices={"optimizer": "adam"}, **ADAM, optimizer__lr=lr) for lr in (1e-3, 1e-2)]
    assert list(axes(sgd + adam)[0]) == ["optimizer", "optimizer.momentum", "optimizer.lr"]


def test_what_axes_of_other_groups_determine_depends_on_them():
    rows = [row(n, schedule__warmup=0.1 * (n == 56)) for n in STAGES]
    assert axes(rows) == ({"layers": (8, 20, 56)}, ["schedule.warmup"])
    own = {(8, "pad"): 0.1, (20, "pad"): 0.1, (56, "pad"): 0.03, (8, "none"): 0.1, (20, "none"): 0.03}
    rows = [row(n, cut, optimizer__lr=lr) for (n, cut), lr in own.items()]  # each depth and shortcut has its own rate
    assert axes(rows) == ({"layers": (8, 20, 56), "shortcut": ("pad", "none")}, ["optimizer.lr"])


def test_settings_of_a_random_search_do_not_determine_each_other():
    dice = random.Random(0)
    keys = ("optimizer__lr", "optimizer__weight_decay")
    rows = [row(dice.choice((8, 20)), **{key: dice.random() for key in keys}) for _ in range(50)]
    assert axes(rows)[1] == [] and list(axes(rows)[0]) == ["layers", "optimizer.lr", "optimizer.weight_decay"]


def test_a_study_may_have_one_axis_or_none():
    assert axes([row(epochs__count=n) for n in (20, 5)]) == ({"epochs": (5, 20)}, [])
    assert axes([row(), row()]) == ({}, [])


def test_a_key_that_old_runs_lack_counts_as_its_default():
    rows = [row(), row(mixup=0.1), row(mixup=0.2)]
    assert axes(rows)[0] == {"mixup": ("default", 0.1, 0.2)}
    assert axes([row(), row(device="cuda", data__root="/else")])[0] == {}


def test_named_values_are_in_the_order_in_which_a_sweep_started_them():
    begun = {"none": "10:02", "trivial": "10:00", "cutout": "10:01"}
    rows = [row(choices={"augmentation": name}, augmentation__flip=name) | {"started": t} for name, t in begun.items()]
    rows.append(rows[1] | {"started": "10:05"})  # another seed of the first value, started later
    assert axes(rows)[0] == {"augmentation": ("trivial", "cutout", "none")}
    rows[0]["started"] = ""  # as from an older version: alphabetical, but `none` first
    assert axes(rows)[0] == {"augmentation": ("none", "cutout", "trivial")}
    rows = [row(optimizer__lr=lr) | {"started": t} for lr, t in ((0.1, "10:00"), (0.01, "10:01"))]
    assert axes(rows)[0] == {"optimizer.lr": (0.01, 0.1)}


def test_a_chosen_setting_is_not_an_axis():
    rows = [row(n, optimizer__lr=lr) for n, lr in ((8, 0.1), (20, 0.01), (56, 0.1))]
    assert axes([*rows, row(8, optimizer__lr=0.5)], chosen=["optimizer.lr"])[1] == ["optimizer.lr"]


def test_an_axis_is_found_by_the_names_people_type():
    found = find_axes([row(n, optimizer__lr=lr) for n in (8, 20) for lr in (0.1, 0.01)])
    typed = ("lr", "optimizer.lr", "depth", "model", "width")
    names = {name: getattr(found.find(name), "name", None) for name in typed}
    assert names == {
        "lr": "optimizer.lr", "optimizer.lr": "optimizer.lr", "depth": "layers", "model": "layers", "width": None
    }  # fmt: skip


def test_long_numbers_are_shortened_as_long_as_they_stay_distinct():
    rates = (0.0014135935551752314, 0.02055123456, 0.1)
    found = find_axes([row(optimizer__lr=lr) for lr in rates])
    assert [found.axes[0].text(place) for place in range(3)] == ["0.001414", "0.02055", "0.1"]
    close = find_axes([row(optimizer__lr=lr) for lr in (0.12345678, 0.12345679)]).axes[0]
    assert [close.text(place) for place in range(2)] == ["0.12345678", "0.12345679"]
