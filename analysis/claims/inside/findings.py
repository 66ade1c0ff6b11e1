"""Why depth works and why it fails: what is seen inside networks, before training and after it."""

from analysis.claims.finding import Finding
from analysis.claims.inside.lesions import find_branches, find_lesions
from analysis.claims.inside.untrained import find_untrained
from analysis.frames.study import Study


def find_inside(study: Study) -> list[Finding]:
    """Return what inspections, lesions and the layers of trainings support."""
    found = [*find_untrained(study.untrained)]
    if len(study.runs):
        layers = study.layers[study.layers["path"].isin(study.complete["path"])]
        found += [*find_lesions(study.lesions, study.runs), *find_branches(layers, study.configurations)]
    return found
