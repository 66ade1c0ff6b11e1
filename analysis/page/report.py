"""The report, one HTML page: the answer, the studies by importance, a look inside the networks, how to reproduce it.

The page needs no network access and no JavaScript, and the same runs always give the same bytes.
"""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis.claims.answer import RANK, find_answer
from analysis.claims.findings import find
from analysis.claims.wording import sentence
from analysis.frames.study import load_studies
from analysis.page.order import importance, title
from analysis.page.rendering import breakable, longest_word
from analysis.page.sections import section
from analysis.page.svg import share_styles

FOLDER = Path(__file__).parent
UNIT = re.compile(r"(?<=\d) (?=(?:%|pp)(?!\w))")  # a space at which a line must not break


def render_report(folders: Sequence[str], best: Sequence[str] = ()) -> str:
    """Return the page, keeping only the best value of each axis in `best`; raises RunsError."""
    studies = sorted(load_studies(folders, best), key=importance)
    findings = [find(study) if len(study.runs) else [] for study in studies]
    sections = [section(study, found, f"study{n}") for n, (study, found) in enumerate(zip(studies, findings), start=1)]
    chosen = [word for name in best for word in ("--best", name)]
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters |= {"longest_word": longest_word, "breakable": breakable}
    page = environment.get_template("report.html.jinja").render(
        title=title(studies),
        answer=[(part, sentence(found)) for part, found in find_answer(list(zip(sections, findings)))],
        compared=any(found.kind in {*RANK, "tie", "published figure"} for own in findings for found in own),
        studies=[part for part in sections if part["trained"]],
        why=[part for part in sections if part["why"] or part["why_tables"]],
        css=Markup((FOLDER / "report.css").read_text(encoding="utf-8") + with_shared_styles(sections)),
        command=shlex.join(["python", "-m", "analysis.report", *folders, *chosen]),
    )
    return UNIT.sub("\u00a0", page)


def with_shared_styles(sections: Sequence[dict[str, Any]]) -> str:
    """Let the figures of all sections share their styles; return the style sheet."""
    cards = [card for part in sections for card in (part["first"], *part["cards"], *part["folded"], *part["why"])]
    figures = [figure for card in cards for figure in card.figures]
    svgs, css = share_styles(figure["svg"] for figure in figures)
    for figure, svg in zip(figures, svgs):
        figure["svg"] = Markup(svg)
    return css
