"""Train residual networks of any depth on CIFAR-10, and write down what happened."""
