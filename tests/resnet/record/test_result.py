import io

import numpy as np
import pytest
import torch

from resnet.record.result import by_class, predictions


def test_the_accuracy_of_a_class_is_over_its_own_images():
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    predicted = torch.tensor([0, 1, 1, 1, 1, 0])
    figures = by_class(predicted, labels, ("cat", "dog"))
    assert figures["confusion"] == [[1, 3], [1, 1]]
    assert figures["per_class_acc"] == {"cat": 0.25, "dog": 0.5}


@pytest.mark.parametrize(("classes", "bytes_each"), [(256, 1), (301, 2)])
def test_predictions_hold_every_class(classes, bytes_each):
    labels, predicted = torch.tensor([classes - 1, 0]), torch.tensor([44, classes - 1])
    written = np.load(io.BytesIO(predictions(predicted, labels, classes)))
    assert written.tolist() == [[classes - 1, 0], [44, classes - 1]] and written.itemsize == bytes_each
