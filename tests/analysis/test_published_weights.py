"""Weights of a network that pads channels on both sides, loaded into ours, which appends them."""

import torch
import torch.nn.functional as F

from resnet.training.model import Network, Pad, ResNet


class PadBothSides(Pad):
    def forward(self, x):
        half = self.new_channels // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, half))


def test_their_weights_in_our_order_of_channels_give_the_same_logits(scripts):
    theirs, ours = (Network((1, 2, 2), 16, "pad").build().eval() for _ in range(2))
    for block in theirs.blocks:
        if isinstance(block.shortcut, Pad):
            block.shortcut.__class__ = PadBothSides
    for norm in (module for module in theirs.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            torch.nn.init.uniform_(tensor, 0.5, 1.5)
    images = torch.randn(4, 3, 32, 32)
    scripts("published_weights").load_weights(ours, weights_of(theirs))
    with torch.inference_mode():
        expected, found = theirs(images), ours(images)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5) and expected.std() > 0.1
    ours.load_state_dict(theirs.state_dict())
    with torch.inference_mode():
        assert not torch.allclose(ours(images), expected, rtol=0.1), "the order of channels matters"


def weights_of(model: ResNet) -> dict[str, torch.Tensor]:
    """Return what a file of published weights holds: no counts of batches."""
    return {name: tensor for name, tensor in model.state_dict().items() if not name.endswith("num_batches_tracked")}
