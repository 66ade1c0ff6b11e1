import torch

from resnet.record.result import by_class


def test_a_class_is_right_by_the_share_of_its_own_images():
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    predicted = torch.tensor([0, 1, 1, 1, 1, 0])
    figures = by_class(predicted, labels, ("cat", "dog"))
    assert figures["confusion"] == [[1, 3], [1, 1]]
    assert figures["per_class_acc"] == {"cat": 0.25, "dog": 0.5}
