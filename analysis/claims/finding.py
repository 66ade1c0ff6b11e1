"""A finding as data: what was compared, and the result. wording.py puts it into a sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # this imports scipy, which takes as long as all the rest of a table
    from analysis.frames.statistics import Difference

DECIDED = ("more", "less")  # verdicts that are more than noise
MIXES, NOISE, BEYOND = "Confounds", "Noise", "Plain networks beyond their best depth"
TOPICS = {  # by kind
    "gain": "Depth",
    "twins": "Skip connections",
    "interaction": "Skip connections",
    "turn": BEYOND,
    "no turn": BEYOND,
    "degradation": BEYOND,
    "not overfitting": BEYOND,
    "training": "Training and validation",
    "published step": "Published",
    "published figure": "Published",
    "gradients": "Gradients",
    "gap": "Training and validation",
    "pair": "Accuracy",
    "axis": "",  # the topic is the axis itself
    "order": "",
    "each best": "",
    "edge": "",
    "tie": "",
    "range": "",
    "share": "",
    "search": MIXES,
    "chosen": MIXES,
    "same runs": MIXES,
    "best": "Best",
    "no validation": "Best",
    "ends": "Gradients before training",
    "ends twins": "Gradients before training",
    "growth": "Gradients before training",
    "neighbours": "Shattered gradients",
    "neighbours twins": "Shattered gradients",
    "curvature": "Curvature and learning rate",
    "no curvature": "Curvature and learning rate",
    "remove": "Lesions",
    "swap": "Lesions",
    "removal twins": "Lesions",
    "branches": "Residual branches",
    "confound": MIXES,
    "untested": MIXES,
    "more confounds": MIXES,
    "mixed seeds": MIXES,
    "mixed precision": MIXES,
    "mixed compiled": MIXES,
    "mixed code": MIXES,
    "mixed data": MIXES,
    "spread": NOISE,
    "no spread": NOISE,
    "several": NOISE,
    "single seeds": "Runs",
    "part of the data": "Runs",
    "easy data": "Runs",
    "incomplete": "Runs",
    "nothing complete": "Runs",
}


@dataclass(frozen=True)
class Finding:
    """Something that runs support; which fields are set depends on the kind.

    `networks` describes `configurations` in words. `difference` is how much the second side of a comparison exceeds the
    first; `seeds` is how many runs the two sides have, or the fewest and the most of several groups. `programs` names
    which of code and data differ between the runs, `tuned` the axes on which each network has its own best value.
    """

    kind: str
    networks: str = ""
    configurations: tuple[str, ...] = ()
    depths: tuple[int, ...] = ()
    difference: Difference | None = None
    seeds: tuple[int, int] = (0, 0)
    programs: tuple[str, ...] = ()
    tuned: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """The verdict of the difference; `open` if there is none."""
        return "open" if self.difference is None else self.difference.verdict

    @property
    def topic(self) -> str:
        own = TOPICS[self.kind] or self.facts["axis"]
        return TOPICS["twins"] if own == "shortcut" else own
