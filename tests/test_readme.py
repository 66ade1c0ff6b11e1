"""The READMEs: what they claim is in the files, and the two say the same."""

import re
import statistics
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from analysis.stats import welch

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


@pytest.mark.parametrize("readme", [ENGLISH, KOREAN], ids=["English", "Korean"])
def test_fp32_and_bf16_stand_as_their_fifth_epochs_do(readme):
    (paragraph,) = (p for p in readme.split("\n\n") if "`runs/reference/precision`" in p)
    found = {"train": [], "val": []}
    for study in ("precision", "seed_table"):
        tables = (ROOT / "runs" / "reference" / study).glob("blocks4-*/seed*/metrics.csv")
        rows = [table.read_text().splitlines()[5].split(",") for table in tables]
        assert len(rows) == 3 and all(row[0] == "5" for row in rows)
        for column, accuracies in zip((3, 5), found.values()):
            accuracies.append([float(row[column]) for row in rows])
            values = [100 * accuracy for accuracy in accuracies[-1]]
            assert f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f} %" in paragraph
    train, val = (welch(*map(pd.Series, pair)) for pair in found.values())
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
    for readme in (ENGLISH, KOREAN):
        assert re.search(r"{} (?:points|포인트)\(?.*?{}\D*{}\D".format(*map(re.escape, step)), readme)
        assert numbers(readme.split("<!-- results -->")[0]) == numbers(answer) != set()
        assert set(re.findall(r"([\d.]+)(?: times|배)", measured_here(readme))) >= set(sum(shares, ()))


@pytest.mark.parametrize("readme", [ENGLISH, KOREAN], ids=["English", "Korean"])
def test_the_last_five_epochs_differ_by_what_is_said(readme):
    means = []
    for model in ("blocks4", "blocks15"):
        tables = (ROOT / "runs" / "reference" / "seed_table").glob(f"{model}-*/seed*/metrics.csv")
        rows = [row.split(",") for table in tables for row in table.read_text().splitlines()[-5:]]
        assert len(rows) == 15
        means.append(statistics.mean(float(row[5]) for row in rows))
    assert re.search(rf"{100 * (means[1] - means[0]):.1f} (?:points|포인트)", readme)


@pytest.mark.parametrize("readme", [ENGLISH, KOREAN], ids=["English", "Korean"])
def test_the_residual_networks_learn_as_is_said(readme):
    def accuracies(study: str, network: str, epoch: int) -> list[float]:
        tables = sorted((ROOT / "runs" / "reference" / study).glob(f"{network}-*/seed*/metrics.csv"))
        rows = [table.read_text().splitlines()[epoch].split(",") for table in tables]
        assert rows and all(row[0] == str(epoch) for row in rows)
        return [100 * float(row[3]) for row in rows]

    (behind,) = (p for p in readme.split("\n\n") if p.startswith("`reference/degradation`"))
    pairs = zip(accuracies("degradation", "resnet20-pad", 10), accuracies("degradation", "resnet56-pad", 10))
    gaps = [f"{shallow - deep:.1f}" for shallow, deep in pairs]
    assert re.search(r"\D+".join(map(re.escape, gaps)), behind)
    (reason,) = (" ".join(p.split()) for p in readme.split("\n\n") if "`reference/warmup`" in p)
    for study, epoch in (("degradation", 1), ("warmup", 1), ("warmup", 2)):
        for network in ("resnet20-pad", "resnet56-pad"):
            assert f"{statistics.mean(accuracies(study, network, epoch)):.1f} %" in reason
    assert f"{statistics.mean(accuracies('warmup', 'resnet56-none', 1)):.1f} %" in reason


def test_the_korean_readme_is_in_step():
    assert results(KOREAN) == results(ENGLISH)
    assert commands(KOREAN) == commands(ENGLISH)
    headings = [re.findall(r"^(#+) ", readme, re.MULTILINE) for readme in (KOREAN, ENGLISH)]
    assert headings[0] == headings[1]
    korean, english = (
        [figures(line) for line in readme.splitlines() if line.startswith("|")] for readme in (KOREAN, ENGLISH)
    )
    assert korean == english
