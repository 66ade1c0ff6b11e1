"""The numbers that docs/snippets.py puts into the documents, from runs with known results."""

import pytest

from tests.analysis import studies

SHALLOW, DEEP = "depth=10", "depth=32"


@pytest.fixture
def snippets(scripts, build, monkeypatch):
    """Return the module, reading a study of two depths with two seeds each."""
    for seed in (0, 1):
        build.complete(seed, test=0.70 + seed / 100)
        build.complete(seed, test=0.80 + seed / 100, **studies.DEEP)
    found = scripts("snippets")
    monkeypatch.setattr(found, "REFERENCE", build.root)
    found.runs_of.cache_clear()
    yield found
    found.runs_of.cache_clear()


def test_means_and_times_are_those_of_the_runs(snippets):
    assert snippets.accuracy("depth", SHALLOW) == "70.50 ± 0.71"
    assert snippets.accuracy("depth", SHALLOW, "seed=1") == "71.00"
    assert snippets.at_epoch("depth", "20", "val_acc", DEEP) == "40.0"
    assert (snippets.minutes("depth"), snippets.minutes("depth", DEEP, "seed=0")) == ("16", "4")
    assert snippets.hours("depth") == "0.3"
    with pytest.raises(ValueError, match="depth has no run with depth=56"):
        snippets.accuracy("depth", "depth=56")


def test_a_table_of_accuracies_says_which_cells_have_fewer_runs(snippets, build):
    build.complete(test=0.60, **studies.DEEP | studies.PLAIN)
    _, _, *rows = snippets.accuracies("depth", "test_acc", "depth", "shortcut", "projection,none", *"abc").splitlines()
    assert rows == ["| 10 | 70.50 ± 0.71 |  |", "| 32 | 80.50 ± 0.71 | 60.00 (n=1) |"]


def test_a_rise_is_claimed_only_if_there_is_one(snippets):
    template = "{rise:.2f} ({least:.2f} to {most:.2f})"
    assert snippets.difference("depth", SHALLOW, DEEP, template) == "10.00 (6.96 to 13.04)"  # t(2) = 4.303, SE 0.707
    falls = template.replace("rise", "fall")
    assert snippets.difference("depth", DEEP, SHALLOW, falls) == "10.00 (6.96 to 13.04)"
    signed = snippets.difference("depth", DEEP, SHALLOW, "{points:+.1f}, {low:+.1f} to {high:+.1f}")
    assert signed == "-10.0, -13.0 to -7.0"
    for a, b in ((DEEP, SHALLOW), (SHALLOW, f"{DEEP};seed=0")):
        with pytest.raises(KeyError):
            snippets.difference("depth", a, b, template)


def test_gradients_are_given_as_the_range_over_runs_and_epochs(snippets, build):
    for seed, first in ((0, 8.0), (1, 512.0)):  # ten layers: an end is one layer, a step a ninth of the way
        run = next(build.root.glob(f"depth/blocks4-*/seed{seed}"))
        build.look_inside(run, layers=10, first=first)
        (run / "layers.csv").write_text((run / "layers.csv").read_text().replace("conv1,1,", "conv1,3,"))
    assert snippets.gradient_ratios("depth", "0", "0", "raw", SHALLOW) == "8.0 to 512.0"
    assert snippets.gradient_ratios("depth", "1", "3", "scaled", SHALLOW, "seed=1") == "512 to 512"
    assert snippets.last_stage_growth("depth", "1", "1", SHALLOW) == "1.26 to 2.00"  # the ninth roots of 8 and 512
