"""Fill in what the documents take from runs and code: `python docs/generate.py`, or `--check` to only compare.

A block is `<!-- generated: COMMAND -->…<!-- end -->`, within a line or around whole lines. COMMAND is a command of the
project whose output fills the block, such as `python -m analysis.table runs/reference/depth_short`, or a function of
snippets.py with its arguments, such as `minutes he2015`. An argument with spaces is quoted, and in the language of its
document.
"""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "README.ko.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- generated: (.+?) -->)(.*?)(<!-- end -->)", re.DOTALL)


def fill(text: str) -> str:
    """Return a document with its blocks up to date."""

    def block(found: re.Match[str]) -> str:
        start, command, before, end = found.groups()
        content = output(command).strip()
        return f"{start}\n{content}\n{end}" if before.startswith("\n") else f"{start}{content}{end}"

    return BLOCK.sub(block, text)


@cache
def output(command: str) -> str:
    """Return what a block's command prints (headings below those of a document), or what its snippet returns."""
    words = shlex.split(command)
    if words[:2] == ["python", "-m"]:
        done = subprocess.run((sys.executable, *words[1:]), cwd=ROOT, capture_output=True, text=True, check=True)
        return re.sub("^## ", "#### ", done.stdout, flags=re.MULTILINE)
    sys.path.insert(0, str(Path(__file__).parent))
    import snippets

    return getattr(snippets, words[0])(*words[1:])


def main() -> int:
    """Update the documents, or say which ones are out of date; return the exit code."""
    texts = {path: path.read_text(encoding="utf-8") for path in DOCUMENTS}
    stale = {path: filled for path, text in texts.items() if (filled := fill(text)) != text}
    for path, text in stale.items():
        if "--check" in sys.argv:
            print(f"{path.relative_to(ROOT)} is out of date; run `make results`", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(ROOT))
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
