"""How fast training is, and what else costs time: `python -m resnet.benchmark`."""
