"""An inspection: a separate run that measures what depth does to a network before its first step."""

from typing import Any

from tqdm import tqdm

from resnet.bar import BAR_OUTPUT
from resnet.display import progress_of
from resnet.inspection.cosines import measure_cosines
from resnet.inspection.curvature import measure_curvature
from resnet.prepare import Training
from resnet.record.environment import environment
from resnet.record.files import format_table
from resnet.record.folder import RunFolder
from resnet.train import look_inside
from resnet.training.probes import PROBE_IMAGES

PATIENCE = 5  # seconds before a progress bar appears


def inspect(folder: RunFolder, training: Training, in_parallel: bool) -> dict[str, Any]:
    """Measure an untrained network and write the results; return the content of result.json.

    Writes layers.csv (epoch 0), cosines.csv and curvature.csv.
    """
    config = training.config
    data, model = training.data, training.trainer.model
    here = environment(data.mean.device)
    folder.start({"epoch": 0, "data": training.data_sha256} | training.conditions | here)
    images = training.trainer.normalize(data.train.images[:PROBE_IMAGES])
    labels = data.train.labels[:PROBE_IMAGES]

    def bar(steps: range) -> Any:
        options: dict[str, Any] = {"leave": False, "delay": PATIENCE}
        options |= {"disable": progress_of(config.progress, in_parallel)}
        return tqdm(steps, f"{folder.path}: curvature", file=BAR_OUTPUT, **options)

    folder.write("layers.csv", format_table(look_inside(training, epoch=0)))
    folder.write("cosines.csv", format_table(measure_cosines(model, images)))
    folder.write("curvature.csv", format_table(measure_curvature(model, images, labels, config.seed, bar)))
    result = describe(training) | training.conditions | here
    folder.finish(result)
    return result


def describe(training: Training) -> dict[str, Any]:
    """Return what result.json says about the measured network."""
    data, config = training.data, training.config
    cost = training.network.cost(data.size)
    return {
        "status": "complete",
        "task": "inspect",
        "model": config.model.name,
        "network": training.network.as_dict(),
        "depth": training.network.depth,
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "seed": config.seed,
        "data": {"name": data.name, "sha256": training.data_sha256},
    }
