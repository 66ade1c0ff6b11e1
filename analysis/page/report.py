"""The report: question, findings, tables, figures and provenance of all studies in one HTML page.

It needs neither network nor JavaScript, and the same runs make the same bytes.
"""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis.claims.findings import find
from analysis.claims.inside.findings import find_inside
from analysis.claims.wording import by_topic
from analysis.figures.gallery import INSIDE, draw_all
from analysis.frames.study import Study, load_studies
from analysis.page.inline import as_html, describe
from analysis.page.inspections import inspection_grids
from analysis.page.provenance import commands, differences, environments
from analysis.page.tables import Layout, to_grid

TEMPLATE = "report.html.jinja"
QUESTION = "Does a network get better the deeper it gets?"
ABOUT_DEPTH = {"layers", "stages", "shortcut"}


def render_report(folders: Sequence[str], best: Sequence[str] = ()) -> str:
    """Return the page, with the best of the axes that are named; raises RunsError."""
    studies = load_studies(folders, best)
    chosen = [word for name in best for word in ("--best", name)]
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(TEMPLATE).render(
        studies=[section(study, f"study{number}") for number, study in enumerate(studies, start=1)],
        title=title(studies),
        command=shlex.join(["python", "-m", "analysis.report", *folders, *chosen]),
    )


def title(studies: Sequence[Study]) -> str:
    """Return what the page is about: the project's question where nothing but the network varies, or the axes."""
    names = list(dict.fromkeys(axis.name for study in studies for axis in study.axes.axes))
    if not names or "layers" in names and set(names) <= ABOUT_DEPTH:
        return QUESTION
    return "Accuracy by " + (f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0])


def section(study: Study, name: str) -> dict[str, Any]:
    """Return what the template shows of a study; every id in it begins with `name`."""
    figures, inside, missing = [], [], []
    for plot, figure in draw_all(study):
        if isinstance(figure, str):
            missing.append(f"{plot.name}: {figure}")
        else:
            svg = as_html(figure, f"{name}-{plot.name}", describe(figure, plot.caption))
            part = inside if plot in INSIDE else figures
            part.append({"name": plot.name, "caption": plot.caption, "svg": svg})
    every = pd.concat([part for part in (study.runs, study.inspections) if len(part)])
    trained = len(study.runs) > 0
    whole = study if trained else replace(study, runs=study.inspections)
    differing, shared = differences(whole.configurations)
    return {
        "id": name,
        "title": study.title,
        "trained": trained,
        "findings": by_topic(find(study)) if trained else {},
        "tables": [to_grid(study, Layout(published=True))] if trained else [],
        "figures": figures,
        "why": {"findings": by_topic(find_inside(study)), "tables": inspection_grids(study), "figures": inside},
        "missing": missing,
        "differing": differing,
        "shared": shared,
        "environments": environments(every),
        "commands": commands(whole),
    }
