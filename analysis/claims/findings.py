"""The sentences that the numbers support, and no others.

Every sentence holds for the data at hand. Where an interval over seeds holds zero, the finding is that no difference
can be claimed; where there is none, as with a single seed, the finding is that the question is open.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from analysis.claims.compare import difference
from analysis.claims.confounds import find_confounds
from analysis.claims.trends import find_gradients, find_slopes, listed, seeds
from analysis.frames.computed import find_precisions
from analysis.frames.configurations import as_text, data_of
from analysis.frames.published import ORIGINAL, add_published, network
from analysis.frames.statistics import Difference, welch, wilson
from analysis.frames.study import beside_network, describe, kind

MISSING = ("unfinished", "failed", "diverged", "damaged")


@dataclass(frozen=True)
class Finding:
    """A sentence, and what it is about."""

    topic: str
    text: str


def find(runs: pd.DataFrame, epochs: pd.DataFrame, layers: pd.DataFrame) -> list[Finding]:
    """Return what the runs of one study say; the frames are those of `load_runs`, `load_epochs`, `load_layers`."""
    complete = runs[runs["status"] == "complete"]
    if complete.empty:
        return [Finding("Runs", "No run is complete, so nothing can be said yet.")]
    configurations = describe(runs)
    done = configurations[configurations["n"] > 0]
    counted = each_once(complete, done)
    epochs = epochs[epochs["path"].isin(complete["path"])]
    layers = layers[layers["path"].isin(counted["path"])]
    topics = {
        "Depth": find_gains(counted, done),
        "Skip connections": find_twins(counted, done),
        "Degradation": find_turns(counted, done),
        "Published": find_published(complete, done),
        "Gradients": find_gradients(layers, done),
        "Training and validation": find_gaps(counted, done),
        "Length of training": find_slopes(epochs, done),
        "What the comparison mixes": [*find_confounds(done), *find_precisions(complete, done)],
        "Runs": [*find_singles(complete, done), *find_trials(done), *find_missing(configurations)],
    }
    return [Finding(topic, text) for topic, texts in topics.items() for text in texts]


def each_once(runs: pd.DataFrame, configurations: pd.DataFrame) -> pd.DataFrame:
    """Return the runs without those that are another one again, the same training under another configuration's name.

    A name tells nothing of a network, and a folder can be copied: counted twice, a seed would make intervals narrower.
    """
    recipes = runs["folder"].map(configurations.set_index("folder")["recipe"])
    return runs[~runs.assign(recipe=recipes).duplicated(["recipe", "shortcut", "depth", "seed"])]


def find_gains(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[str]:
    """Say what the deepest network of each series gains over the shallowest."""
    for name, by_depth in all_series(runs, configurations):
        (shallow, a), (deep, b) = list(by_depth.items())[0], list(by_depth.items())[-1]
        subject = f"From {shallow} to {deep} layers, the test accuracy of {name}"
        yield claim(subject, ("rises", "falls"), difference(a, b, "test_acc"), a, b)


def find_twins(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[str]:
    """Say what skip connections are worth at the least and the greatest depth that has both kinds."""
    for residual, plain in twins(configurations):
        common = sorted(set(residual["depth"]) & set(plain["depth"]))
        for depth in dict.fromkeys((common[0], common[-1])):
            a, b = (runs_of(runs, rows[rows["depth"] == depth]) for rows in (plain, residual))
            subject = f"At {depth} layers, the test accuracy of {kind(residual)}"
            found = difference(a, b, "test_acc")
            yield claim(
                subject, ("is above that of their plain twins", "is below that of their plain twins"), found, a, b
            )


def find_turns(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[str]:
    """Say whether plain networks get worse again beyond some depth, which is chosen by validation accuracy."""
    for name, by_depth in all_series(runs, configurations[configurations["shortcut"] == "none"]):
        means = {depth: rows["val_acc"].mean() for depth, rows in by_depth.items()}
        if len(means) == 2:
            yield from find_training(name, by_depth)
        if len(means) < 3 or pd.isna(list(means.values())).any():
            continue
        best, deepest = max(means, key=means.get), max(means)
        if best == deepest:
            yield f"Of {name}, the deepest, with {deepest} layers, are best by validation: no turning point is seen."
            continue
        a, b = by_depth[best], by_depth[deepest]
        found = difference(a, b, "test_acc")
        subject = f"Of {name}, those with {best} layers are best by validation. From there to {deepest} layers, their"
        yield claim(f"{subject} test accuracy", ("rises", "falls"), found, a, b)
        training = welch(a["train_acc"], b["train_acc"])
        if found.p is not None and found.high < 0 and training.high is not None and training.high < 0:
            text = claim("Over the same depths, the training accuracy", ("rises", "falls"), training, a, b)
            yield f"{text} So this is degradation, not overfitting."


def find_training(name: str, by_depth: dict[int, pd.DataFrame]) -> Iterator[str]:
    """Say whether the deeper of two plain networks trains worse, which is no overfitting."""
    (shallow, a), (deep, b) = by_depth.items()
    subject = f"From {shallow} to {deep} layers, the training accuracy of {name}"
    yield claim(subject, ("rises", "falls"), welch(a["train_acc"], b["train_acc"]), a, b)


def find_gaps(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[str]:
    """Say how far training is above validation accuracy, and how that changes with depth."""
    runs = runs.assign(gap=runs["train_acc"] - runs["val_acc"]).dropna(subset="gap")
    for name, by_depth in all_series(runs, configurations):
        (shallow, a), (deep, b) = list(by_depth.items())[0], list(by_depth.items())[-1]
        gaps = f"{100 * a['gap'].mean():+.2f} pp at {shallow} layers and {100 * b['gap'].mean():+.2f} pp at {deep}"
        subject = f"Training minus validation accuracy of {name} is {gaps}. With depth, this difference"
        yield claim(subject, ("rises", "falls"), welch(a["gap"], b["gap"]), a, b)


def find_singles(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[str]:
    """Say what the test images leave open of a configuration's only run, which has no interval over seeds."""
    singles = []
    for row in configurations[configurations["n"] == 1].itertuples():
        (run,) = runs[runs["configuration"] == row.configuration].itertuples()
        if pd.notna(run.test_acc):
            low, high = wilson(run.test_acc, int(run.test_images))
            singles.append(f"{row.full_label}, {100 * low:.2f} to {100 * high:.2f} %")
    if singles:
        yield (
            "A single seed has no interval over seeds. What the test images alone leave open of its test accuracy "
            f"(95 %, binomial): {listed(singles)}."
        )


def find_trials(configurations: pd.DataFrame) -> Iterator[str]:
    """Say that a part of the data was trained on, as for trials."""
    part = configurations[[settings.get("data.limit") is not None for settings in configurations["settings"]]]
    if len(part):
        yield f"Trained on a part of the data only: {data_of(part)}."


def find_published(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[str]:
    """Set the step that the original project found beside one's own, if both of its networks have its recipe here."""
    rows = add_published(configurations)
    theirs = rows[rows["by"] == ORIGINAL].to_dict("records")
    same = rows[rows["other_recipe"] == ""]
    recipes = [as_text(beside_network(settings)) for settings in same["settings"]]
    for _, alike in same.groupby(recipes, sort=False):
        own = {network(row): row["configuration"] for row in alike.to_dict("records")}
        steps = [row for row in theirs if network(row) in own]
        if len(steps) != 2:
            continue
        a, b = (runs[runs["configuration"] == own[network(row)]].dropna(subset="val_acc") for row in steps)
        points = 100 * (steps[1]["val_acc_mean"] - steps[0]["val_acc_mean"])
        subject = (
            f"From {steps[0]['model']} to {steps[1]['model']}, the {ORIGINAL} found {points:+.2f} pp of validation "
            "accuracy (one seed, augmented images). With the same recipe, on unaugmented images, it"
        )
        if len(a) and len(b):
            yield claim(subject, ("rises", "falls"), welch(a["val_acc"], b["val_acc"]), a, b)


def find_missing(configurations: pd.DataFrame) -> Iterator[str]:
    """Say how many runs are left out, and why."""
    counts = {status: int(configurations[status].sum()) for status in MISSING}
    said = [f"{count} {status}" for status, count in counts.items() if count]
    if said:
        yield f"Not in any figure of the last epoch, because they are not complete: {', '.join(said)}."


def claim(subject: str, verbs: tuple[str, str], found: Difference, a: pd.DataFrame, b: pd.DataFrame) -> str:
    """Return what can be said of a difference, and no more; `verbs` are those for more and for less."""
    size = f"{verbs[bool(found.points < 0)]} by {abs(found.points):.2f} pp"
    interval = "" if found.low is None else f"{found.low:+.2f} to {found.high:+.2f} pp"
    if found.p is None:
        why = "one seed tells nothing about the next" if min(len(a), len(b)) < 2 else "the seeds do not differ at all"
        images = f" (The test images alone leave {interval} open.)" if interval else ""
        return f"{subject} {size} in these runs ({seeds(a, b)}). Whether that is noise is open: {why}.{images}"
    noise = found.low <= 0 <= found.high
    verdict = (
        "but no difference can be claimed: it could be noise" if noise else "which is more than the noise of seeds"
    )
    return f"{subject} {size}, {verdict} (95 % interval {interval}, {seeds(a, b)})."


def all_series(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[tuple[str, dict[int, pd.DataFrame]]]:
    """Yield the name and depth -> runs, ascending, of configurations of several depths that differ in nothing else."""
    for _, rows in configurations.groupby(["shortcut", "recipe"], sort=False):
        by_depth = dict(list(runs_of(runs, rows).groupby("depth")))
        if len(by_depth) > 1:
            yield kind(rows), by_depth


def twins(configurations: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Yield the residual and the plain configurations that share a recipe and at least one depth."""
    for _, rows in configurations.groupby("recipe", sort=False):
        plain = rows[rows["shortcut"] == "none"]
        for shortcut, residual in rows.groupby("shortcut", sort=False):
            if shortcut != "none" and set(residual["depth"]) & set(plain["depth"]):
                yield residual, plain


def runs_of(runs: pd.DataFrame, configurations: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of some configurations."""
    return runs[runs["configuration"].isin(configurations["configuration"])]
