"""The READMEs: what they claim is in the files, and the two say the same."""

import re
import subprocess
import sys
from pathlib import Path

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


def test_what_is_read_from_the_tables_stands_in_them():
    for readme in (ENGLISH, KOREAN):
        sentences = readme.split("<!-- /results -->")[1].split("\n| ")[0]
        percentages = re.findall(r"\d+\.\d+(?= ?%| against)", sentences)
        assert len(percentages) >= 4 and not [number for number in percentages if number not in results(readme)]


def test_the_korean_readme_is_in_step():
    assert results(KOREAN) == results(ENGLISH)
    assert commands(KOREAN) == commands(ENGLISH)
    headings = [re.findall(r"^(#+) ", readme, re.MULTILINE) for readme in (KOREAN, ENGLISH)]
    assert headings[0] == headings[1]
    korean, english = (
        [figures(line) for line in readme.splitlines() if line.startswith("|")] for readme in (KOREAN, ENGLISH)
    )
    assert korean == english
