"""A report of all runs in one HTML file: question, findings, tables, figures, and where they come from.

It needs neither a network nor JavaScript to be read, and the same runs make the same bytes.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis.claims.findings import find
from analysis.command import add_folders, answered
from analysis.frames.configurations import summarize
from analysis.frames.published import add_published
from analysis.frames.study import Study, load_studies
from analysis.page.inline import as_html, describe
from analysis.page.provenance import commands, differences, environments
from analysis.plots import draw_all
from analysis.table import for_people, put

TEMPLATE = "report.html.jinja"


def report(folders: Sequence[str]) -> str:
    """Return the page; raises RunsError."""
    studies = load_studies(folders)
    loader = FileSystemLoader(Path(__file__).parent / "page")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(TEMPLATE).render(
        studies=[section(study, f"study{number}") for number, study in enumerate(studies, start=1)],
        command=shlex.join(["python", "-m", "analysis.report", *folders]),
    )


def section(study: Study, name: str) -> dict[str, Any]:
    """Return what the template shows of a study; `name` begins every id in it."""
    figures, missing = [], []
    for plot, figure in draw_all(study):
        if isinstance(figure, str):
            missing.append(f"{plot.name}: {figure}")
        else:
            svg = as_html(figure, f"{name}-{plot.name}", describe(figure, plot.caption))
            figures.append({"name": plot.name, "caption": plot.caption, "svg": svg})
    findings: dict[str, list[str]] = {}
    for finding in find(study.runs, study.epochs, study.layers):
        findings.setdefault(finding.topic, []).append(finding.text)
    differing, shared = differences(study.configurations)
    return {
        "id": name,
        "title": study.title,
        "findings": findings,
        "tables": for_people(add_published(summarize(study.runs)), published=True),
        "figures": figures,
        "missing": missing,
        "differing": differing,
        "shared": shared,
        "environments": environments(study.runs),
        "commands": commands(study.runs),
    }


@answered
def main(arguments: Sequence[str] | None = None) -> int:
    """Answer the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description=__doc__)
    add_folders(parser)
    add = parser.add_argument
    add("--out", metavar="FILE", type=Path, default=Path("report.html"), help="where to (default: report.html)")
    given = parser.parse_args(arguments)
    put(report(given.folders), given.out)
    print(given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
