"""Why depth works and why it fails: what networks look like inside, before and after training."""

from analysis.claims.finding import Finding
from analysis.claims.inside.lesions import find_branches, find_lesions
from analysis.claims.inside.untrained import find_untrained
from analysis.frames.study import Study


def find_inside(study: Study) -> list[Finding]:
    """Return the findings that inspections, lesions and the probed layers of trainings support."""
    found = [*find_untrained(study.untrained)]
    if len(study.runs):
        layers = study.layers[study.layers["path"].isin(study.complete["path"])]
        found += [*find_lesions(study.lesions, study.runs), *find_branches(layers, study.configurations)]
    return found
