"""Compile the network, and compare it with the uncompiled one before trusting it."""

import copy
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from resnet.errors import Diverged
from resnet.training.data import Split
from resnet.training.fused import fuse
from resnet.training.trainer import Normalize, Trainer, forward

log = logging.getLogger(__name__)

ROUNDING = 4  # a compiled network may have at most this many times the rounding error of the uncompiled one
TRIED = 3  # steps: on a GPU, the first warms up the CUDA graphs, the second records them, the third launches them
# Relative errors to ignore, however small the network's own error. Rounding can decide the sign of a ReLU's input,
# which changes the gradient by up to a hundredth.
NEGLIGIBLE = {"logits": 1e-6, "gradient": 0.02}


class Unfaithful(Exception):
    """The compiled network does not compute the same as the uncompiled one."""


def compile_network(trainer: Trainer, split: Split, batch_size: int) -> Callable[[Tensor], Tensor] | None:
    """Return the trainer's network compiled for batches of `batch_size`; other sizes go through the uncompiled one.

    It is compiled before this returns, and the trainer is left as it was; any other compiled network of this process
    recompiles on its next use. If compiling fails or the result differs, logs the reason and returns None.
    """
    log.info("compiling, which may take minutes; the time left is shown after the first steps")
    # To compile, PyTorch imports a module that looks for CUDA on any device, and warns if there is nvcc but no GPU.
    logging.getLogger("torch.utils.cpp_extension").addFilter(_not_about_missing_cuda)
    torch.compiler.reset()  # otherwise PyTorch stops compiling after a process's eighth network
    started = time.perf_counter()
    cpu = split.images.device.type == "cpu"
    before = copy.deepcopy(trainer.state())
    try:
        network = fuse(trainer.model) if trainer.bf16 and cpu else trainer.model
        compiled = torch.compile(network, fullgraph=True, dynamic=False, options=compile_options(cpu))
        batch = Split(split.images[:batch_size], split.labels[:batch_size])
        for _ in range(1 if cpu else TRIED):
            check_faithful(trainer, compiled, batch)
        try_steps(trainer, compiled, batch)
    except Exception as error:  # compiler, C++ compiler, cache folder: whatever fails, the uncompiled network works
        reason = " ".join(str(error).splitlines()[:2]) or type(error).__name__
        log.warning(f"compile: continuing without it, {reason}")
        return None
    finally:
        trainer.optimizer.zero_grad(set_to_none=True)
        trainer.restore(before)
    log.info(f"compiled in {time.perf_counter() - started:.0f} s")
    return lambda images: compiled(images) if len(images) == batch_size else trainer.model(images)


def try_steps(trainer: Trainer, compiled: Callable[[Tensor], Tensor], batch: Split) -> None:
    """Take the first steps of a training, so that any failure in them happens here; this changes the trainer."""
    trainer.compiled = compiled
    try:
        for _ in range(TRIED):
            with suppress(Diverged):  # the uncompiled network would diverge, too: not the compiler's fault
                trainer.train_epoch([(batch.images, batch.labels)], first_step=0)
    finally:
        trainer.compiled = None


def compile_options(cpu: bool) -> dict[str, Any]:
    """Return the options of torch.compile, for a CPU or for a GPU."""
    import torch._inductor.config as inductor

    options: dict[str, Any] = {
        "cpp.threads": torch.get_num_threads(),  # becomes part of PyTorch's cache key: other counts need other code
        "cpp_wrapper": cpu,  # call a CPU's kernels from C++ instead of Python
        "triton.cudagraphs": not cpu,  # record a GPU's kernels, and launch them as one
    }
    if not cpu and hasattr(inductor, "deterministic"):
        options["deterministic"] = True  # otherwise kernels are chosen by speed, and the order of sums varies
    return options


def _not_about_missing_cuda(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("No CUDA runtime is found")


def check_faithful(trainer: Trainer, compiled: Callable[[Tensor], Tensor], batch: Split) -> None:
    """Raise Unfaithful unless `compiled` computes the same as the trainer's network in training mode, up to rounding.

    The reference is float64: the compiled network's error must not be much larger than the uncompiled one's.
    """
    double = copy.deepcopy(trainer.model).double().train()
    trainer.model.train()
    reference = outcome(lambda x: double(x.double()), double.stem.weight, trainer.normalize, batch, bf16=False)
    own = outcome(trainer.model, trainer.model.stem.weight, trainer.normalize, batch, trainer.bf16)
    found = outcome(compiled, trainer.model.stem.weight, trainer.normalize, batch, trainer.bf16)
    for (what, negligible), true, by_module, by_compiled in zip(NEGLIGIBLE.items(), reference, own, found):
        error, allowed = relative(by_compiled, true), ROUNDING * relative(by_module, true) + negligible
        if not error <= allowed:
            raise Unfaithful(f"the compiled network's {what} differ by {error:.1e} of their size")


def outcome(
    network: Callable[[Tensor], Tensor], weight: Tensor, normalize: Normalize, batch: Split, bf16: bool
) -> tuple[Tensor, Tensor]:
    """Return the logits of a batch, and the gradient of its loss with respect to the first layer's weights."""
    logits = forward(network, normalize, batch.images, bf16)
    gradient = torch.autograd.grad(F.cross_entropy(logits, batch.labels), weight)[0]
    return logits.detach().double(), gradient.double()


def relative(values: Tensor, true: Tensor) -> float:
    """Return the size of an error relative to the size of the true values."""
    return float((values - true).norm() / true.norm())
