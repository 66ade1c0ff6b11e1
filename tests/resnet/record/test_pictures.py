"""The pictures that a run writes."""

import io

import numpy as np
import torch
from PIL import Image

from resnet.record.pictures import draw_samples


def test_samples_are_upright_undistorted_and_in_order():
    images = torch.zeros(40, 8, 8, 3, dtype=torch.uint8)
    images[:, :4, :, 1], images[:, 4:, :, 2] = 255, 255  # green above blue
    images[:, :, :, 0] = torch.arange(40).view(-1, 1, 1) * 5
    png = draw_samples(images, torch.arange(40) % 10, [str(digit) for digit in range(10)])
    drawn = np.array(Image.open(io.BytesIO(png)))[:, :, :3]

    def where(color: tuple[int, int, int]) -> np.ndarray:
        return np.argwhere((drawn == color).all(axis=2))

    centres = []
    for number in range(32):
        above, below = where((number * 5, 255, 0)), where((number * 5, 0, 255))
        assert above[:, 0].max() < below[:, 0].min() and set(above[:, 1]) == set(below[:, 1])
        height, width = np.ptp(np.concatenate((above, below)), axis=0) + 1
        assert abs(height - width) <= 2 and width > 100, "square pixels"
        centres.append(tuple(np.concatenate((above, below)).mean(axis=0).round(-1)))
    assert centres == sorted(centres) and len({row for row, _ in centres}) == 4
    assert not len(where((32 * 5, 255, 0))), "only the first 32"
