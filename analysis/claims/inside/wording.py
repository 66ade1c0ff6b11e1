"""Sentences for findings about the inside of networks."""

from typing import Any

from analysis.claims.finding import Finding
from analysis.claims.inside import lesions_words, untrained_words
from analysis.claims.numbers import count_seeds, in_a_row, say_twins
from analysis.frames.axes import name_shortcut

TEMPLATES = untrained_words.TEMPLATES | lesions_words.TEMPLATES
SAID = untrained_words.SAID | lesions_words.SAID


def say(finding: Finding) -> str:
    """Return a finding of a kind in TEMPLATES in words."""
    said: dict[str, Any] = {name: put(finding) for name, put in SAID.get(finding.kind, {}).items()}
    said |= {"at": in_a_row(finding.depths), "shortcut_said": name_shortcut(finding.facts.get("shortcut", ""))}
    said |= {"seeds_said": say_twins(finding.seeds), "seeds_counted": count_seeds(finding.seeds[1])}
    return TEMPLATES[finding.kind].format(**vars(finding) | finding.facts | said)
