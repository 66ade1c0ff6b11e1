"""Which claims a comparison of two configurations supports, and which it does not."""

import pytest

from tests.analysis.studies import DEEP, PLAIN


def seeds(build, accuracies, **settings):
    """Write a complete run per test accuracy; return the name of their configuration."""
    return [build.complete(seed, test=test, **settings) for seed, test in enumerate(accuracies)][0].parent.name


def test_a_clear_difference_is_supported_with_its_interval(build, table):
    a = seeds(build, (0.830, 0.832, 0.834))
    b = seeds(build, (0.880, 0.883, 0.886), **DEEP)
    printed = table("--compare", a, b)
    assert "83.20 ± 0.20" in printed and "88.30 ± 0.30" in printed
    assert "The data support that B's test accuracy is higher than A's, by 4.49 to 5.71 pp" in printed
    assert "| +4.49 to +5.71 | < 0.0001 |" in printed
    assert "A's test accuracy is higher than B's, by 4.49 to 5.71 pp" in table("--compare", b, a)


def test_noise_is_not_called_a_difference(build, table):
    a = seeds(build, (0.830, 0.850))
    b = seeds(build, (0.835, 0.856), **DEEP)
    printed = table("--compare", a, b)
    assert "No difference in test accuracy can be claimed: as far as the seeds tell, B may be anything" in printed
    assert "anything from 5.70 pp worse to 6.80 pp better than A." in printed
    assert "support" not in printed


def test_single_seeds_have_only_the_test_images_interval_and_it_is_labelled(build, table):
    a, b = seeds(build, [0.83]), seeds(build, [0.88], **DEEP)
    printed = table("--compare", a, b)
    assert "There is no interval over seeds" in printed and "1 of A and 1 of B" in printed
    assert "binomial one of 10,000 test images" in printed
    assert "does NOT cover what another seed would change" in printed
    assert "For these runs, B's test accuracy is higher" in printed and "The data support" not in printed
    cells = [line.split("|") for line in printed.splitlines() if " acc (%)" in line]
    intervals = {cell[1].strip(): cell[5].strip() for cell in cells}
    assert intervals["train acc (%)"] == intervals["val acc (%)"] == "-" != intervals["test acc (%)"]
    several = table("--compare", a, seeds(build, [0.87, 0.89], **DEEP, **{"optimizer.lr": 0.01}))
    assert "1 of A and 2 of B" in several and "no seed's" not in several


def test_seeds_without_any_spread_are_pointed_out(build, table):
    a, b = seeds(build, [0.83, 0.83]), seeds(build, [0.83, 0.83], **DEEP)
    printed = table("--compare", a, b)
    assert "all seeds have the same test accuracy" in printed and "can be claimed" in printed


def test_every_difference_between_the_two_is_named(build, table):
    a, b = seeds(build, [0.83, 0.84]), seeds(build, [0.88, 0.89], **DEEP, **{"optimizer.lr": 0.01})
    printed = table("--compare", a, b)
    assert "blocks per stage ([2,2] against [5,5,5]), stages (2 against 3)" in printed
    assert "width of the last stage (64 against 128), optimizer.lr (0.001 against 0.01)" in printed
    assert "do not tell which of these makes the difference" in printed
    unclear = seeds(build, [0.70, 0.97], **DEEP, **{"optimizer.lr": 0.1})
    printed = table("--compare", a, unclear)
    assert "No difference in test accuracy can be claimed" in printed and "which of these" not in printed


def test_a_controlled_comparison_is_not_called_confounded(build, table):
    a, b = seeds(build, [0.83, 0.84]), seeds(build, [0.88, 0.89], **PLAIN)
    printed = table("--compare", a, b)
    assert "They differ in model.shortcut (projection against none)." in printed
    assert "which of these" not in printed
    narrow = seeds(build, [0.80, 0.81], **{"model.width": 8})
    assert "They differ in model.width (32 against 8).\n" in table("--compare", a, narrow)


def test_incomplete_runs_are_left_out_and_counted(build, table):
    a, b = seeds(build, [0.83, 0.84]), seeds(build, [0.88, 0.89], **DEEP)
    build.begin(2, done=3)
    build.fail(3, **DEEP)
    assert "2 complete runs; B is" in table("--compare", a, b)
    assert "Left out: 1 unfinished, 1 failed." in table("--compare", a, b)


def test_without_validation_the_validation_row_is_empty(build, table):
    a = seeds(build, [0.83, 0.84], val=None)
    b = seeds(build, [0.88, 0.89], val=None, **DEEP)
    lines = [line for line in table("--compare", a, b).splitlines() if "val acc" in line]
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == ["val acc (%)", *"-----"]


def test_folders_prefixes_and_studies_name_a_configuration(build, table):
    seeds(build, [0.83, 0.84], study="a")
    seeds(build, [0.88, 0.89], study="b")
    deep = build.root / "b" / seeds(build, [0.88, 0.89], study="b", **DEEP)
    expected = table("--compare", "a/blocks4", "blocks15")
    assert "+5.00" in expected and "+5.00" in table("--compare", "a/", deep, "runs")
    assert table("--compare", deep, next((build.root / "a").iterdir()), "nowhere")  # not needed, so not read


def test_an_exact_name_is_not_taken_for_a_prefix_of_another(build, table):
    a, b = build.complete(0), build.complete(0, **DEEP)
    b.parent.rename(b.parent.with_name(f"{a.parent.name}-copy"))
    assert f"B is depth/{a.parent.name}-copy" in table("--compare", a.parent.name, f"{a.parent.name}-copy")


def test_names_that_match_none_or_several_are_answered_with_the_candidates(build, table):
    a, _ = seeds(build, [0.83]), seeds(build, [0.88], **{"optimizer.lr": 0.01})
    answer = table("--compare", "blocks4", a, code=2)
    there_are = "optimizer.lr=0.001; optimizer.lr=0.01"
    assert answer == f"blocks4: could be {there_are}\n"
    assert table("--compare", a, "vgg", code=2) == (
        f"vgg: no configuration has this value or a name that starts with it; there are {there_are}\n"
    )
    for lr in range(1, 31):
        build.complete(**{"optimizer.lr": float(lr)})
    answer = table("--compare", a, "vgg", code=2)
    assert answer.count("optimizer.lr=") == 20 and answer.endswith(" and 12 more\n")
    assert "are the same configuration" in table("--compare", a, a, code=2)


def test_trials_on_part_of_the_data_are_pointed_out(build, table):
    a, b = seeds(build, [0.3], **{"data.limit": 50}), seeds(build, [0.4], **DEEP, **{"data.limit": 50})
    assert "This is about cifar10, first 50 training images of each class." in table("--compare", a, b)


def test_runs_in_different_precisions_are_pointed_out(build, table):
    runs = [build.complete(seed, test=0.83 + seed / 100) for seed in (0, 1)]
    b = seeds(build, [0.88, 0.89], **DEEP)
    a = runs[0].parent.name
    assert "precision" not in table("--compare", a, b)
    for seed, said in ((0, "(precision: bf16 (seed 1), fp32 (seed 0))"), (1, "(1 in bf16, 1 in fp32)")):
        build.amend(runs[seed], precision="fp32")
        assert said in table("--compare", a, b)


def test_folders_are_compared_each_at_its_best(build, table):
    for study, accuracies in (("a", {0.1: 0.8, 0.3: 0.7}), ("b", {0.1: 0.6, 0.3: 0.9})):
        for lr, accuracy in accuracies.items():
            for seed in (0, 1):
                build.complete(seed, study, val=accuracy, test=accuracy + seed / 100, **{"optimizer.lr": lr})
    printed = table("--compare", "runs/a", "runs/b", "--best", "optimizer.lr")
    assert "80.50" in printed and "90.50" in printed
    assert "runs/a: could be" in table("--compare", "runs/a", "runs/b", code=2)


def test_what_cannot_be_compared_is_refused(build, table):
    a, digits = seeds(build, [0.83]), seeds(build, [0.98], **{"data.name": "digits"})
    assert "their data sets are cifar10 and digits" in table("--compare", a, digits, code=2)
    begun = build.begin(0, done=3, **DEEP).parent.name
    assert "nothing to compare yet" in table("--compare", a, begun, code=1)
    with pytest.raises(SystemExit, match="2"):
        table("--compare", a, begun, "--format", "csv")
