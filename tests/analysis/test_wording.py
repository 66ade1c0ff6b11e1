"""How findings read: one test per template. Whether they are right: test_findings.py."""

import math
from dataclasses import replace

import pytest

from analysis.claims.finding import TOPICS, Finding
from analysis.claims.inside import wording as inside
from analysis.claims.wording import TEMPLATES, by_topic, listed, say_factor, sentence
from analysis.frames.statistics import Difference

MORE, LESS = Difference(5.1, 4.49, 5.71, 0.001), Difference(-15, -16, -14, 0.001)
NOISE, OPEN = Difference(0.5, -1, 2, 0.4), Difference(5, 3.9, 6.1, None)
RATE = {"axis": "optimizer.lr", "values": 5, "apart": [], "label": "optimizer.lr=0.1", "best": "0.1", "second": "0.03"}
FITTED = {
    "pairs": 3,
    "of_pairs": 4,
    "grids": 4,
    "having": 3,
    "balanced": False,
    "rest": [("0.03", -0.25), ("1", -4.0)],
    "rare": ["3"],
    "waiting": ["10"],
    "unlike": True,
}
ORDER = {"tried": 3, "planned": 4, "others": [("8 layers", "0.03")], "ties": 1}
NEXT = {"next": "B", "gap": 0.25, "diverged": 2}
SEARCH = {"axis": "optimizer.lr", "count": 200, "top": 20}
SPREAD = {"std": 0.74, "low": 0.52, "high": 1.3, "dof": 10, "least": 0.12, "most": 1.25}
RESIDUAL, PLAIN = "residual (pad) networks", "plain networks"

SENTENCES = {
    "gain": (
        Finding("gain", RESIDUAL, depths=(14, 32), difference=MORE, seeds=(3, 3)),
        "From 14 to 32 layers, the test accuracy of residual (pad) networks rises by 5.10 pp "
        "(95 % interval +4.49 to +5.71 pp, 3 seeds each).",
    ),
    "twins": (
        Finding("twins", RESIDUAL, depths=(32,), difference=NOISE, seeds=(2, 3)),
        "At 32 layers, the test accuracy of residual (pad) networks is above that of their plain counterparts by 0.50 "
        "pp, but no difference can be claimed: it could be noise (95 % interval -1.00 to +2.00 pp, 3 residual, 2 plain "
        "seeds).",
    ),
    "several": (
        Finding("several", facts={"count": 10, "clear": 7, "held": 6}),
        "Judged one by one, 7 of 10 comparisons over seeds found more than noise; after Holm's correction for their "
        "number, 6 did.",
    ),
    "spread": (
        Finding("spread", "residual networks", facts={**SPREAD, "count": 5}),
        "Pooled over 5 configurations of residual networks, the standard deviation of test accuracy between "
        "seeds is 0.74 pp (95 % interval 0.52 to 1.30 pp, 10 degrees of freedom), "
        "if it is the same in all of them, which these seeds do not rule out.",
    ),
    "no spread": (
        Finding("no spread", "plain networks", facts={**SPREAD, "count": 5}),
        "Between seeds, the standard deviation of the test accuracy of plain networks is 0.12 to 1.25 pp, depending on "
        "the configuration. These differ by more than chance (Bartlett's test), so they are not pooled.",
    ),
    "turn": (
        Finding("turn", PLAIN, depths=(20, 56), difference=OPEN, seeds=(1, 1)),
        "Of plain networks, those with 20 layers are best by validation. From there to 56 layers, their test accuracy "
        "rises by 5.00 pp in these runs (a single seed each; 95 % interval from the test images alone +3.90 to +6.10 "
        "pp); whether that is noise is open.",
    ),
    "no turn": (
        Finding("no turn", PLAIN, depths=(20,), facts={"absent": [32, 56]}),
        "Of plain networks, the deepest that have complete runs (32 and 56 layers have none), with 20 layers, are best "
        "by validation: no turning point is seen.",
    ),
    "degradation": (
        Finding("degradation", PLAIN, depths=(20, 56), difference=LESS, seeds=(2, 2)),
        "Over the same depths, the training accuracy falls by 15.00 pp (95 % interval -16.00 to -14.00 pp, 2 seeds "
        "each).",
    ),
    "not overfitting": (
        Finding("not overfitting", PLAIN),
        "The training accuracy falls as well, so overfitting does not explain the fall in test accuracy.",
    ),
    "training": (
        Finding("training", PLAIN, depths=(20, 56), difference=Difference(0, None, None, None), seeds=(2, 2)),
        "From 20 to 56 layers, the training accuracy of plain networks stays the same in these runs (2 seeds each); "
        "whether other seeds agree is open, because the seeds do not differ at all.",
    ),
    "published step": (
        Finding(
            "published step",
            difference=MORE,
            seeds=(3, 3),
            facts={"models": ("blocks4", "blocks15"), "points": 4.14},
        ),
        "From blocks4 to blocks15, the original project found a change of +4.14 pp in validation accuracy (one seed, "
        "augmented images). With the same recipe, on unaugmented images, it rises by 5.10 pp "
        "(95 % interval +4.49 to +5.71 pp, 3 seeds each).",
    ),
    "published figure": (
        Finding("published figure", facts={"label": "A", "own": 91.3, "theirs": 91.25, "by": "B et al. 2016", "n": 1}),
        "A: 91.30 % test accuracy (a single seed). With the same recipe: 91.25 % (B et al. 2016).",
    ),
    "gradients": (
        Finding(
            "gradients",
            RESIDUAL,
            depths=(56,),
            difference=Difference(300, 100, 400, 0.01),
            seeds=(2, 2),
            facts={"ratios": (0.001, 1234.5), "scaled": (2.0, 30.0), "before": (200.0, 3.0)},
        ),
        "In training, at 56 layers, the gradient norm of the first tenth of the 3x3 layers is 1,200 times that of the "
        "last tenth in residual (pad) networks, and 0.001 times in their plain counterparts (geometric mean over "
        "epochs, 2 seeds each). With skip connections, this ratio is larger by a factor of 10 to 10,000 (95 % interval "
        "over seeds). Scaled, the ratios are 30 (residual) and 2 (plain). Before the first step, unscaled, the ratios "
        "are 3 (residual) and 200 (plain).",
    ),
    "gap": (
        Finding("gap", PLAIN, depths=(8, 56), difference=LESS, seeds=(2, 2), facts={"points": (-0.001, -5.0)}),
        "Training minus validation accuracy (the gap) of plain networks is +0.00 pp at 8 layers and -5.00 pp at 56. "
        "From 8 to 56 layers, the gap falls by 15.00 pp (95 % interval -16.00 to -14.00 pp, 2 seeds each).",
    ),
    "interaction": (
        Finding("interaction", RESIDUAL, depths=(8, 56), difference=MORE, seeds=(3, 3)),
        "From 8 to 56 layers, the test accuracy of residual (pad) networks minus that of their plain counterparts "
        "rises by 5.10 pp (95 % interval +4.49 to +5.71 pp, 3 seeds each).",
    ),
    "no validation": (
        Finding("no validation", facts={"axes": "optimizer.lr and batch_size", "hint": True}),
        "Nothing was held out for validation, so no value of optimizer.lr and batch_size can be chosen: the test "
        "images are for comparing, not for choosing; `--compare` of `analysis.table` compares two configurations.",
    ),
    "axis": (
        Finding(
            "axis",
            difference=NOISE,
            seeds=(2, 2),
            facts=RATE | FITTED | {"above": 2, "below": 1, "diverged": 1},
        ),
        "By a least-squares fit over 4 combinations of the other axes, 3 of which include it, optimizer.lr=0.1 is the "
        "best of 5 values by validation, without 1 of its runs, which diverged (relative to it, 0.03: -0.25 pp, 1: "
        "-4.00 pp; tried in too few to be ranked: 3; without a complete, validated run: 10). "
        "On average over the 3 of 4 pairs with several seeds, its test "
        "accuracy is above that of 0.03, the next best, by 0.50 pp, but no difference can be claimed: it could be "
        "noise (95 % interval "
        "-1.00 to +2.00 pp, 2 seeds each). But which is better depends on the other axes: pair by pair, it is above in "
        "2 and below in 1, by more than the noise of seeds. The values were validated on different images, which may "
        "explain their order.",
    ),
    "order": (
        Finding("order", facts=RATE | ORDER | {"clear": 0}),
        "It is best in 2 of 3 combinations of the other axes in which it can be compared (of 4 in all), in 1 of them "
        "together with another; by validation, 0.03 with 8 layers is better, which may be noise.",
    ),
    "each best": (
        Finding(
            "each best", facts=RATE | {"each": [("8 layers", ["1"], "highest"), ("20 layers", ["0.1", "0.3"], "")]}
        ),
        "By validation, the best value of optimizer.lr is 1 (the highest tried) with 8 layers; 0.1 and 0.3 with 20 "
        "layers.",
    ),
    "tie": (
        Finding("tie", facts=RATE | {"equal": ["0.01", "0.03", "0.1"]}),
        "Of 5 values of optimizer.lr, 0.01, 0.03 and 0.1 tie for best by validation.",
    ),
    "range": (
        Finding("range", facts=SEARCH | {"low": "0.02", "high": "0.09", "least": "0.0001", "most": "1"}),
        "The best 20 of 200 configurations by validation have optimizer.lr from 0.02 to 0.09; 0.0001 to 1 were tried.",
    ),
    "share": (
        Finding("share", facts=SEARCH | {"shares": {"20 layers": 17, "8 layers": 3}}),
        "The best 20 of 200 configurations by validation: 17 with 20 layers, 3 with 8 layers.",
    ),
    "search": (
        Finding("search"),
        "These configurations do not form a grid: settings vary together, and the data do not tell which of them makes "
        "a difference.",
    ),
    "edge": (
        Finding("edge", facts=RATE | {"end": "highest"}),
        "0.1 is the highest value of optimizer.lr tried: a better one may lie beyond.",
    ),
    "best": (
        Finding(
            "best",
            facts={"label": "A", "count": 24, "val_acc": (80.0, math.nan), "test_acc": (79.5, math.nan), "n": 1} | NEXT,
        ),
        "Of 24 configurations, A is best by validation: 80.00 % validation accuracy and 79.50 % test accuracy (a "
        "single seed; 2 more diverged). B is next, 0.25 pp lower by validation.",
    ),
    "confound": (
        Finding("confound", facts={"labels": ("A", "B"), "changes": {"stages": (2, 3), "x.y": ("default", [1, 2])}}),
        "A and B differ in more than one thing: stages (2 against 3), x.y (default against [1,2]). "
        "The data do not tell which of these makes a difference between them.",
    ),
    "chosen": (
        Finding("chosen", facts={"axis": "optimizer.lr", "by": " in experiment=rates"}),
        "Each configuration has its own optimizer.lr, chosen by validation accuracy in experiment=rates; "
        "comparisons are between configurations tuned in this way.",
    ),
    "same runs": (
        Finding("same runs", facts={"axis": "optimizer.lr"}),
        "The runs that chose optimizer.lr are also those compared, which favours configurations whose results vary "
        "more.",
    ),
    "untested": (
        Finding("untested", facts={"axis": "optimizer.lr", "where": ["8 layers: 0.1", "20 layers: 0.01"]}),
        "For these, only one value of optimizer.lr was tried: 8 layers: 0.1; 20 layers: 0.01.",
    ),
    "more confounds": (Finding("more confounds", facts={"count": 3}), "Other pairs for which this is true: 3."),
    "mixed seeds": (
        Finding("mixed seeds", facts={"mixed_labels": ["A", "B"], "how": "threads: 1 (seed 0), 2 (seed 1)"}),
        "The seeds of A; B were not all computed in the same way (threads: 1 (seed 0), 2 (seed 1)): "
        "their standard deviation does not reflect seeds alone.",
    ),
    "mixed precision": (
        Finding("mixed precision", facts={"counts": {"bf16": 1, "fp32": 2}}),
        "Not all configurations ran in the same precision (1 in bf16, 2 in fp32), which is another difference "
        "between them.",
    ),
    "mixed compiled": (
        Finding("mixed compiled", facts={"counts": {False: 2, True: 1}}),
        "Some configurations were compiled and others not (2 not compiled, 1 compiled); compiled code rounds "
        "differently.",
    ),
    "mixed code": (
        Finding("mixed code", facts={"counts": {"12345678": 1, "unknown": 2}}),
        "Not all configurations were computed by the same code (12345678: 1, unknown: 2), which is another difference "
        "between them.",
    ),
    "mixed data": (
        Finding("mixed data", facts={"counts": {"12345678": 1, "87654321": 2}}),
        "Not all configurations were computed from the same data (12345678: 1, 87654321: 2), which is another "
        "difference between them.",
    ),
    "single seeds": (
        Finding("single seeds", facts={"intervals": {"A": (0.792, 0.8077)}}),
        "A single seed has no interval over seeds. 95 % binomial intervals of test accuracy, from the test images "
        "alone: A: 79.20 to 80.77 %.",
    ),
    "part of the data": (
        Finding("part of the data", facts={"data": "digits, first 20", "count": 2, "of": 2}),
        "Trained on a part of the data only: digits, first 20.",
    ),
    "easy data": (
        Finding("easy data", facts={"data": "The digits of scikit-learn"}),
        "The digits of scikit-learn are 8 x 8 pixels, and so easy that they show only whether everything works: "
        "they say nothing about what depth does on CIFAR-10.",
    ),
    "pair": (
        Finding("pair", difference=NOISE, seeds=(2, 2), facts={"labels": ("A, 10 layers", "B, 32 layers"), "also": {}}),
        "From A, 10 layers to B, 32 layers, the test accuracy rises by 0.50 pp, but no difference can be claimed: it "
        "could be noise (95 % interval -1.00 to +2.00 pp, 2 seeds each). They differ in more than one thing; these "
        "runs cannot separate the effects.",
    ),
    "incomplete": (
        Finding(
            "incomplete",
            facts={"counts": {"unfinished": 1, "failed": 0, "diverged": 2}, "of": {"diverged": ["A", "B"]}},
        ),
        "Left out of all results of the last epoch, because they are not complete: 1 unfinished, 2 diverged (A; B).",
    ),
    "nothing complete": (Finding("nothing complete"), "No run is complete."),
}


@pytest.mark.parametrize(("finding", "text"), SENTENCES.values(), ids=SENTENCES)
def test_a_finding_reads_as_expected(finding, text):
    assert sentence(finding) == text


def test_every_kind_has_a_topic_and_a_tested_template():
    assert set(TEMPLATES) == set(SENTENCES)
    assert set(TOPICS) == set(TEMPLATES) | set(inside.TEMPLATES)  # inside/ tests its own


@pytest.mark.parametrize(
    ("clear", "said"),
    [
        (2, "are better; on test images, by more than the noise of seeds."),
        (1, "are better; on test images, 1 of 2 by more than the noise of seeds."),
        (0, "are better, which may be noise."),
    ],
)
def test_values_that_are_better_elsewhere_are_compared_with_the_noise_of_seeds(clear, said):
    facts = RATE | ORDER | {"others": [("8 layers", "0.03"), ("20 layers", "1")], "clear": clear}
    assert sentence(Finding("order", facts=facts)).endswith(f"0.03 with 8 layers; 1 with 20 layers {said}")


def test_part_of_the_configurations_is_counted():
    part = Finding("part of the data", facts={"data": "digits, first 20", "count": 2, "of": 3})
    assert sentence(part) == "Trained on a part of the data only, 2 of 3 configurations: digits, first 20."


def test_findings_say_that_networks_were_tuned_one_by_one():
    found = Finding("gain", PLAIN, depths=(8, 20), difference=MORE, seeds=(2, 2), tuned="optimizer.lr")
    assert sentence(found).startswith("Each at the best optimizer.lr tried: from 8 to 20 layers, the test accuracy of ")
    once, *both = by_topic([found, Finding("nothing complete"), found])["Depth"]
    assert "compared at the best optimizer.lr" in once and all(text.startswith("From 8 to 20 layers") for text in both)


def test_a_comparison_says_how_many_runs_it_leaves_out():
    gain = Finding("gain", PLAIN, depths=(8, 56), difference=MORE, seeds=(3, 3), facts={"left out": 2})
    assert sentence(gain).endswith(" 3 seeds each). 2 more runs diverged, and are not counted.")


def test_a_rise_that_ends_before_the_greatest_depth_says_so():
    gain = Finding("gain", PLAIN, depths=(8, 56), difference=MORE, seeds=(3, 3), facts={"plateau": (20, NOISE, (2, 3))})
    assert sentence(gain).endswith(
        " 3 seeds each). From 20 layers on, no further rise can be claimed: +0.50 pp from there to 56 (95 % interval "
        "-1.00 to +2.00 pp, 2 and 3 seeds)."
    )


@pytest.mark.parametrize(
    ("kind", "said"), [("gain", "stays the same"), ("twins", "equals that of their plain counterparts")]
)
def test_equal_accuracies_are_called_equal_in_these_runs(kind, said):
    equal = Finding(kind, RESIDUAL, depths=(8, 20), difference=Difference(0.001, -0.5, 0.5, 0.99), seeds=(3, 3))
    assert sentence(equal).endswith(f" {said} in these runs (95 % interval -0.50 to +0.50 pp, 3 seeds each).")


@pytest.mark.parametrize(("width", "said"), [(0.02, "1.6 to 2.0 pp wide"), (0.016, "1.6 pp wide")])
def test_of_many_single_seeds_only_the_widths_of_their_intervals_are_said(width, said):
    intervals = {label: (0.79, 0.806) for label in "ABCDEF"} | {"G": (0.79, 0.79 + width)}
    assert sentence(Finding("single seeds", facts={"intervals": intervals})).endswith(f"the test images alone: {said}.")


def test_an_interval_that_covers_the_test_images_says_so():
    found = Finding("gain", PLAIN, depths=(8, 20), difference=replace(MORE, with_images=(4.4, 5.6)), seeds=(2, 2))
    assert sentence(found).endswith(" (95 % interval +4.40 to +5.71 pp over seeds and test images, 2 seeds each).")


def test_seed_counts_of_more_than_two_groups_are_a_range():
    found = Finding("interaction", RESIDUAL, depths=(8, 56), difference=MORE, seeds=(2, 5))
    assert sentence(found).endswith("+5.71 pp, 2 to 5 seeds each).")


def test_different_code_or_data_is_mentioned_at_the_end():
    finding = Finding("gain", PLAIN, depths=(8, 20), difference=MORE, seeds=(2, 2), programs=("code", "data"))
    end = " These runs were not all computed by the same code or computed from the same data."
    assert sentence(finding).endswith(end)


def test_sentences_are_grouped_by_topic_in_order():
    assert list(by_topic([SENTENCES[kind][0] for kind in ("gain", "incomplete", "turn")])) == [
        "Depth",
        "Runs",
        "Plain networks beyond their best depth",
    ]


def test_only_the_first_of_many_names_are_listed():
    assert listed([*"abcdefgh"]) == "a; b; c; d; e; f; and 2 more" and listed(["a", "b"]) == "a; b"


def test_factors_have_two_digits():
    assert (say_factor(0.0123), say_factor(3.21), say_factor(1234.5)) == ("0.012", "3.2", "1,200")
