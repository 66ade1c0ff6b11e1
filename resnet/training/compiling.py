"""The network compiled, and compared with itself before it is trusted."""

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

ROUNDING = 4  # times the rounding error of the network itself, beyond which a compiled one computes something else
TRIED = 3  # steps; on a GPU, CUDA graphs are warmed up in the first, recorded in the second, launched in the third
# Relative errors that count as none, however small the network's own. Rounding can decide the sign of a ReLU's input,
# which moves the gradient by up to a hundredth.
NEGLIGIBLE = {"logits": 1e-6, "gradient": 0.02}


class Unfaithful(Exception):
    """The compiled network does not compute what the network does."""


def compile_network(trainer: Trainer, split: Split, batch_size: int) -> Callable[[Tensor], Tensor] | None:
    """Return the trainer's network compiled for batches of `batch_size`; other batches go through the network itself.

    Compiled here, with the trainer left as it was; any other compiled network of the process compiles again when it is
    next used. None, with a line that says why, where compiling fails or the result is not the same network.
    """
    log.info("compiling, which may take minutes; the time that is left is said after the first steps")
    # To compile, PyTorch imports a module that looks for CUDA on any device, and warns of an nvcc without a GPU.
    logging.getLogger("torch.utils.cpp_extension").addFilter(_not_about_missing_cuda)
    torch.compiler.reset()  # beyond the eighth network of a process, PyTorch would no longer compile
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
    except Exception as error:  # the compiler, its compiler, its cache folder: whatever fails, the network itself works
        reason = " ".join(str(error).splitlines()[:2]) or type(error).__name__
        log.warning(f"compile: continuing without it, {reason}")
        return None
    finally:
        trainer.optimizer.zero_grad(set_to_none=True)
        trainer.restore(before)
    log.info(f"compiled in {time.perf_counter() - started:.0f} s")
    return lambda images: compiled(images) if len(images) == batch_size else trainer.model(images)


def try_steps(trainer: Trainer, compiled: Callable[[Tensor], Tensor], batch: Split) -> None:
    """Take the first steps of a training, so that what fails in them fails here; the trainer is changed by them."""
    trainer.compiled = compiled
    try:
        for _ in range(TRIED):
            with suppress(Diverged):  # as the network itself would, and then as a training, not as a compiler
                trainer.train_epoch([(batch.images, batch.labels)], first_step=0)
    finally:
        trainer.compiled = None


def compile_options(cpu: bool) -> dict[str, Any]:
    """Return the options of torch.compile, for a CPU or for a GPU."""
    import torch._inductor.config as inductor

    options: dict[str, Any] = {
        "cpp.threads": torch.get_num_threads(),  # in the key of PyTorch's cache, which has to tell them apart
        "cpp_wrapper": cpu,  # its kernels are called from C++ instead of Python
        "triton.cudagraphs": not cpu,  # on a GPU they are recorded, and launched as one
    }
    if not cpu and hasattr(inductor, "deterministic"):
        options["deterministic"] = True  # or kernels are chosen by their speed, and add up in another order elsewhere
    return options


def _not_about_missing_cuda(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("No CUDA runtime is found")


def check_faithful(trainer: Trainer, compiled: Callable[[Tensor], Tensor], batch: Split) -> None:
    """Raise Unfaithful unless `compiled` computes what the trainer's network does, in training mode, up to rounding.

    The measure is float64: the compiled network's error against it must not be far above that of the network itself.
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
