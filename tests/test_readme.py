"""The READMEs: what they claim is in the files, and the two say the same."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from analysis.frames.statistics import welch

ROOT = Path(__file__).resolve().parents[1]
ENGLISH, KOREAN = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ko.md"))


def results(readme: str) -> str:
    return re.search(r"^<!-- results -->\n(.*?)^<!-- /results -->", readme, re.DOTALL | re.MULTILINE)[1]


def commands(readme: str) -> list[str]:
    """Return the lines of code blocks without their comments."""
    blocks = re.findall(r"^```\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]


def figures(line: str) -> tuple[int, list[str], list[str]]:
    """Return what does not depend on the language of a table's row: its cells, code, and numbers with a point."""
    return line.count("|"), sorted(re.findall(r"`[^`]+`", line)), sorted(re.findall(r"\d+\.\d+", line))


def test_the_tables_are_those_of_the_reference_runs():
    table = (sys.executable, "-m", "analysis.table", "runs/reference", "--published")
    done = subprocess.run(table, cwd=ROOT, capture_output=True, text=True, check=True)
    assert results(ENGLISH) == re.sub("^## ", "#### ", done.stdout, flags=re.MULTILINE), "make results"


def numbers(text: str) -> set[str]:
    """Return the numbers with a point, as they are written."""
    return set(re.findall(r"\d+\.\d+", text))


def measured_here(readme: str) -> str:
    """Return what the README says of the tables: the sentences around them, and our column beside the paper's."""
    lead, rest = readme.split("<!-- results -->\n")
    said, beside = rest.split("<!-- /results -->")[1].split("\n### ")[:2]
    ours = [line.split("|")[4] for line in beside.splitlines() if line.count("|") == 5]
    lines = [line for line in (lead + said).splitlines() if not line.startswith("|")]
    return "\n".join([*lines, *ours])


@pytest.mark.parametrize("readme", [ENGLISH, KOREAN], ids=["English", "Korean"])
def test_what_is_said_of_the_tables_stands_in_them(readme):
    percentages = re.findall(r"\d+\.\d\d(?= ?%| against)", measured_here(readme))
    assert len(percentages) >= 12 and set(percentages) <= numbers(results(readme))


def accuracies(study: str, network: str, column: str) -> pd.DataFrame:
    """Return a network's accuracies in a reference study in per cent, a row an epoch, a column a seed."""
    paths = sorted((ROOT / "runs" / "reference" / study).glob(f"{network}-*/seed*/metrics.csv"))
    return 100 * pd.concat([pd.read_csv(path, index_col="epoch")[column] for path in paths], axis=1)


@pytest.mark.parametrize("readme", [ENGLISH, KOREAN], ids=["English", "Korean"])
def test_fp32_and_bf16_stand_as_their_fifth_epochs_do(readme):
    (paragraph,) = (p for p in readme.split("\n\n") if "`runs/reference/precision`" in p)
    intervals = []
    for column in ("train_acc", "val_acc"):
        fifth = [accuracies(study, "blocks4", column).loc[5] for study in ("precision", "seed_table")]
        for values in fifth:
            assert len(values) == 3 and f"{values.mean():.2f} ± {values.std():.2f} %" in paragraph
        intervals.append(welch(*(values / 100 for values in fifth)))
    train, val = intervals
    assert -0.5 < train.low < 0 < train.high
    assert re.search(rf"{val.low:.1f}\D*{val.high:+.1f}", paragraph)


def text(page: str) -> str:
    """Return a report without its figures, which another version of matplotlib draws with other bytes."""
    return re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)


def test_the_page_is_that_of_the_reference_runs_and_of_the_readmes(tmp_path):
    report = (sys.executable, "-m", "analysis.report", "runs/reference", "--out", str(tmp_path / "report.html"))
    subprocess.run(report, cwd=ROOT, capture_output=True, check=True)
    committed = text((ROOT / "runs" / "reference" / "report.html").read_text(encoding="utf-8"))
    assert committed == text((tmp_path / "report.html").read_text(encoding="utf-8")), "make results"
    shares = re.findall(r"At 56 layers, the first layers of .*? get (\S+) times .*? plain twins (\S+) times", committed)
    answer = "".join(re.findall(r"<li>(From 8 to 56 layers, the test accuracy .*?)</li>", committed))
    step = re.search(
        r"on unaugmented images, it rises by (\S+) pp, .*? interval \+(\S+) to \+(\S+) pp", committed
    ).groups()
    worse, better = re.search(
        r"From 20 to 56 layers, .*? residual \(pad\) networks falls .*? interval -(\S+) to \+(\S+) pp", committed
    ).groups()
    ahead = re.search(
        r"From 20 to 56 layers, .*? \(pad\) networks rises by (\S+) pp, .*? interval \+(\S+) to \+(\S+) pp", committed
    ).groups()
    for readme in (ENGLISH, KOREAN):
        for difference in (step, ahead):
            assert re.search(r"{}\s(?:points|포인트)\s?\(.*?{}\D*{}\D".format(*map(re.escape, difference)), readme)
        assert numbers(readme.split("<!-- results -->")[0]) == numbers(answer) != set()
        assert re.search(rf"\s{float(worse):.0f} (?:points|포인트)[^)]*?\s{float(better):.0f} [^)]*\)", readme)
        assert set(re.findall(r"([\d.]+)(?: times|배)", measured_here(readme))) >= set(sum(shares, ()))


@pytest.mark.parametrize("readme", [ENGLISH, KOREAN], ids=["English", "Korean"])
def test_the_last_five_epochs_differ_by_what_is_said(readme):
    last = [accuracies("seed_table", model, "val_acc").loc[16:20] for model in ("blocks4", "blocks15")]
    assert [found.shape for found in last] == [(5, 3), (5, 3)]
    shallow, deep = (found.to_numpy().mean() for found in last)
    assert re.search(rf"{deep - shallow:.1f} (?:points|포인트)", readme)


@pytest.mark.parametrize("readme", [ENGLISH, KOREAN], ids=["English", "Korean"])
def test_the_residual_networks_learn_as_is_said(readme):
    (paragraph,) = (p for p in readme.split("\n\n") if p.startswith("`reference/degradation`"))
    shallow, deep = (accuracies("degradation", network, "train_acc") for network in ("resnet20-pad", "resnet56-pad"))
    assert deep.shape == (10, 3)
    assert re.search(r"\D+".join(f"{gap:.1f}" for gap in (shallow - deep).loc[10]), paragraph)
    behind = (shallow - deep).mean(axis=1)
    assert behind.loc[1] < behind.loc[2] and behind.loc[2:].is_monotonic_decreasing
    slow = [accuracies("warmup", network, "train_acc") for network in ("resnet20-pad", "resnet56-pad", "resnet56-none")]
    (reason,) = (" ".join(p.split()) for p in readme.split("\n\n") if "`reference/warmup`" in p)
    assert re.search("From the third on it catches up|셋째 에폭부터는 천천히 따라잡습니다", reason)
    means = [found.loc[1].mean() for found in (shallow, deep, *slow)] + [found.loc[2].mean() for found in slow[:2]]
    assert sorted(re.findall(r"\b\d+\.\d(?= %)", reason)) == sorted(f"{mean:.1f}" for mean in means)


@pytest.mark.parametrize(("readme", "since"), [(ENGLISH, "From the fourth epoch on"), (KOREAN, "넷째 에폭부터")])
def test_at_the_low_rate_the_deeper_network_is_ahead_since_the_epoch_that_is_said(readme, since):
    shallow, deep = (accuracies("rate", network, "train_acc") for network in ("resnet20-pad", "resnet56-pad"))
    assert shallow.shape == deep.shape == (10, 3)
    with_each_seed = (deep > shallow).all(axis=1)
    assert with_each_seed.loc[4:].all() and not with_each_seed.loc[3]
    (paragraph,) = (p for p in readme.split("\n\n") if p.startswith("`reference/rate`"))
    assert since in paragraph


@pytest.mark.parametrize("readme", [ENGLISH, KOREAN], ids=["English", "Korean"])
def test_fp32_starts_as_badly_as_is_said(readme):
    shallow, deep = (accuracies("degradation_fp32", f"resnet{n}-pad", "train_acc")["train_acc"] for n in (20, 56))
    assert len(shallow) == len(deep) == 10
    in_bf16 = accuracies("degradation", "resnet56-pad", "train_acc").iloc[9, 1]
    (paragraph,) = (p for p in readme.split("\n\n") if "`reference/degradation_fp32`" in p and not p.startswith("|"))
    ends = [f"{side.loc[epoch]:.{digits}f}" for epoch, digits in ((1, 1), (10, 2)) for side in (deep, shallow)]
    assert re.findall(r"[\d.]+(?= %)", paragraph) == [*ends, f"{in_bf16:.1f}"]


def test_the_korean_readme_is_in_step():
    assert results(KOREAN) == results(ENGLISH)
    assert commands(KOREAN) == commands(ENGLISH)
    headings = [re.findall(r"^(#+) ", readme, re.MULTILINE) for readme in (KOREAN, ENGLISH)]
    assert headings[0] == headings[1]
    korean, english = (
        [figures(line) for line in readme.splitlines() if line.startswith("|")] for readme in (KOREAN, ENGLISH)
    )
    assert korean == english
