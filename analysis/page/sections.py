"""The sections of a report: a study's findings beside the figures that show them, its table and its details."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from analysis.claims.finding import BEYOND, MIXES, Finding
from analysis.claims.inside.findings import find_inside
from analysis.claims.wording import by_topic
from analysis.figures.gallery import draw_all
from analysis.frames.experiments import parts_of_runs
from analysis.frames.find import REFERENCE
from analysis.frames.study import Study
from analysis.page.columns import in_epochs
from analysis.page.inspections import inspection_grids
from analysis.page.order import heading
from analysis.page.provenance import commands, differences, environments
from analysis.page.rendering import Grid
from analysis.page.svg import as_svg, describe
from analysis.page.tables import page_grids

NARROW = 5.6  # inches, half a page of 1,200 pixels
FIRST = ("accuracy", "grid")  # the figures of the first card, which has all sentences that belong to no other card
CARDS = (("degradation", BEYOND), ("curves", "Training and validation"))  # the others pair a figure with a topic
WHY = (
    ("untrained_gradients", "Gradients before training"),
    ("cosines", "Shattered gradients"),
    ("curvature", "Curvature and learning rate"),
    ("lesions", "Lesions"),
    ("branches", "Residual branches"),
)
FOLDED = (("gradient_ratio", "Gradients"), ("gradients", ""), ("responses", ""), ("classes", ""), ("confusion", ""))
CAVEATS = ("Runs", MIXES)  # in this order


@dataclass
class Card:
    """Sentences by topic, and the figures beside them."""

    findings: Mapping[str, list[str]] = field(default_factory=dict)
    figures: list[dict[str, Any]] = field(default_factory=list)

    @property
    def wide(self) -> bool:
        return any(figure["wide"] for figure in self.figures)


def section(study: Study, findings: Iterable[Finding], name: str) -> dict[str, Any]:
    """Return what the template shows of a study; every HTML id in it begins with `name`."""
    drawn, trained = figures(study, name), len(study.runs) > 0
    said, why = by_topic(findings), by_topic(find_inside(study))
    main, detail = page_grids(study) if trained else (None, None)
    own = {topic: said.pop(topic) for topic in CAVEATS if topic in said}
    apart = {topic for _, topic in (*CARDS, *FOLDED)}
    caveats = [text for texts in own.values() for text in texts]
    first = Card({k: v for k, v in said.items() if k not in apart}, [drawn[k] for k in FIRST if k in drawn])
    return provenance(study) | {
        "id": name,
        "heading": heading(study),
        "title": study.title,
        "short": short(study),
        "trained": trained,
        "first": first,
        "cards": cards(CARDS, said, drawn),
        "folded": cards(FOLDED, said, drawn),
        "table": main and without(main, caveats),
        "detail": main and detail and without(detail, [*main.notes, *caveats]),
        "caveats": caveats,
        "other_half": parts_of_runs(study.runs.to_dict("records")).get("Other half"),
        "why": cards(WHY, why, drawn),
        "why_tables": inspection_grids(study),
    }


def without(grid: Grid, said: Collection[str]) -> Grid:
    """Return a table without the notes in `said`, which are printed beside it."""
    return replace(grid, notes=[note for note in grid.notes if note not in said])


def short(study: Study) -> str:
    """Return a study's name, and the length of its training if that is the same for all."""
    epochs = study.configurations["epochs"].unique() if len(study.runs) else []
    name = (study.title.rpartition(" (")[0] or study.title).removeprefix(f"{REFERENCE}/")
    known = len(epochs) == 1 and not pd.isna(epochs[0])
    return f"{name}, {in_epochs(str(epochs[0]))}" if known else name


def cards(
    pairs: Iterable[tuple[str, str]], said: Mapping[str, list[str]], drawn: Mapping[str, dict[str, Any]]
) -> list[Card]:
    """Return a card for each pair of a figure and a topic, at least one of which is there."""
    found = (
        Card({topic: said[topic]} if topic in said else {}, [drawn[plot]] if plot in drawn else [])
        for plot, topic in pairs
    )
    return [card for card in found if card.findings or card.figures]


def figures(study: Study, name: str) -> dict[str, dict[str, Any]]:
    """Return a study's figures by name, each as an SVG with its caption."""
    drawn: dict[str, dict[str, Any]] = {}
    for plot, figure in draw_all(study, narrow=NARROW):
        if isinstance(figure, str):
            continue
        svg = as_svg(figure, f"{name}-{plot.name}", describe(figure, plot.caption))
        wide = figure.get_figwidth() > NARROW
        drawn[plot.name] = {"name": plot.name, "caption": plot.caption, "svg": svg, "wide": wide}
    return drawn


def provenance(study: Study) -> dict[str, Any]:
    """Return how a study's configurations differ, where its runs were computed, and the commands to reproduce them."""
    every = pd.concat([part for part in (study.runs, study.inspections) if len(part)])
    inspected = replace(study, runs=study.inspections)
    parts = {kind: part for kind, part in (("", study), (", untrained", inspected)) if len(part.runs)}
    differing, shared = differences(next(iter(parts.values())).configurations)
    return {
        "differing": differing,
        "shared": shared,
        "environments": environments(every),
        "commands": {label + kind: text for kind, part in parts.items() for label, text in commands(part).items()},
    }
