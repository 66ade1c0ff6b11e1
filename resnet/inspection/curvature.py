"""The sharpest direction of the loss: its largest Hessian eigenvalue, by Lanczos' method.

Gradient descent with momentum b at a learning rate r is stable only where the curvature stays below 2(1 + b) / r
(Cohen et al. 2021, section 2). So the curvature before the first step says which rates are unstable at the start.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from resnet.training.model import ResNet

IMAGES = 64
ITERATIONS, TOLERANCE = 24, 0.01  # Lanczos steps at most, and the relative residual of a converged eigenvalue


def measure_curvature(
    model: ResNet, images: Tensor, labels: Tensor, seed: int, watch: Callable[[Any], Any] = iter
) -> list[dict[str, Any]]:
    """Return the row of curvature.csv: the largest algebraic eigenvalue of the loss's Hessian, in training mode.

    `images` are normalised, float32 (n, channels, height, width). `residual` is the norm of Hv - lv relative to l, for
    the unit vector v and the eigenvalue l found; `converged` says whether it is within TOLERANCE. `watch` wraps the
    range of iterations, for a progress bar.
    """
    multiply = hessian(model.train(), images[:IMAGES], labels[:IMAGES])
    size = sum(parameter.numel() for parameter in model.parameters())
    start = torch.randn(size, generator=torch.Generator().manual_seed(seed)).to(images.device)
    eigenvalue, residual, iterations = largest_eigenvalue(multiply, start, watch)
    converged = residual <= TOLERANCE
    return [{"eigenvalue": eigenvalue, "residual": residual, "iterations": iterations, "converged": converged}]


def hessian(model: ResNet, images: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a function that multiplies a vector over all parameters by the Hessian of the mean loss."""
    parameters = list(model.parameters())
    loss = F.cross_entropy(model(images), labels)
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    flat = torch.cat([gradient.flatten() for gradient in gradients])

    def multiply(vector: Tensor) -> Tensor:
        products = torch.autograd.grad(flat, parameters, vector, retain_graph=True)
        return torch.cat([product.flatten() for product in products])

    return multiply


def largest_eigenvalue(
    multiply: Callable[[Tensor], Tensor], start: Tensor, watch: Callable[[Any], Any] = iter
) -> tuple[float, float, int]:
    """Return the largest algebraic eigenvalue of a symmetric matrix, its relative residual, and the iterations taken.

    Lanczos' method with full reorthogonalisation (Golub and Van Loan, section 10.1). `multiply` applies the matrix;
    if a product is not finite, eigenvalue and residual are NaN.
    """
    basis, diagonal, beside = [start / start.norm()], [], []
    value, residual = float("nan"), float("inf")
    for _ in watch(range(min(ITERATIONS, len(start)))):
        product = multiply(basis[-1])
        diagonal.append(float(product @ basis[-1]))
        for _ in range(2):  # a single pass leaves rounding errors that grow
            stacked = torch.stack(basis)
            product = product - stacked.T @ (stacked @ product)
        beside.append(float(product.norm()))
        if not math.isfinite(diagonal[-1] + beside[-1]):  # overflow, as in very deep networks
            return float("nan"), float("nan"), len(diagonal)
        values, vectors = torch.linalg.eigh(tridiagonal(diagonal, beside[:-1]))
        value = float(values[-1])
        residual = abs(beside[-1] * float(vectors[-1, -1]) / value) if value else float("inf")
        if residual <= TOLERANCE or beside[-1] == 0:
            break
        basis.append(product / beside[-1])
    return value, residual, len(diagonal)


def tridiagonal(diagonal: list[float], beside: list[float]) -> Tensor:
    """Return the symmetric float64 matrix with these numbers on its diagonal and on the diagonals next to it."""
    off = torch.tensor(beside, dtype=torch.float64)
    return torch.diag(torch.tensor(diagonal, dtype=torch.float64)) + torch.diag(off, 1) + torch.diag(off, -1)
