"""The training loop by itself: which steps it takes, at which rates, on which images, and what it reports."""

from itertools import count
from types import SimpleNamespace

import pytest
import torch

import resnet.training.loop
import resnet.training.trainer
from resnet.errors import Diverged
from resnet.training.augment import Augmenter
from resnet.training.data import Dataset, load, training_batches
from resnet.training.loop import fit
from resnet.training.model import Network
from resnet.training.trainer import Metrics, Normalize, Trainer, running_metrics

BATCH, SEED = 16, 5


@pytest.fixture
def data() -> Dataset:
    """Return 60 training images, which are three and three quarter batches, and 20 held out."""
    return load("digits", "unused", 0.25, 8)


def trainer(data: Dataset, bf16: bool = False) -> Trainer:
    torch.manual_seed(0)
    model = Network((1, 1), 4, "projection", channels=1).build()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    return Trainer(model, Normalize(data.mean, data.std), bf16, optimizer, lambda step: 0.01 / (1 + step))


def test_each_step_has_its_rate_and_its_images(data, monkeypatch):
    """Six steps: an epoch of four, and two of the next epoch."""
    rates, seen = [], []
    clock = SimpleNamespace(perf_counter=count().__next__)  # advances a second at each look
    monkeypatch.setattr(resnet.training.loop, "time", clock)
    monkeypatch.setattr(resnet.training.trainer, "set_lr", lambda optimizer, lr: rates.append(lr))
    augmenter = Augmenter(data.train.images, data.mean, True, 1, 0, False)

    def watch(batches, epoch, steps):
        for batch in batches:
            seen.append((epoch, steps, batch))
            yield batch

    rows = list(fit(trainer(data), data, augmenter, BATCH, SEED, total_steps=6, watch=watch))
    assert rates == [0.01 / (1 + step) for step in range(6)]
    assert [row["lr"] for row in rows] == [rates[3], rates[5]]
    expected = [
        (epoch, steps, batch)
        for epoch, steps in ((1, 4), (2, 2))
        for batch in list(training_batches(data.train.labels, augmenter, BATCH, SEED, epoch))[:steps]
    ]
    assert [place for *place, _ in seen] == [place for *place, _ in expected]
    assert all(torch.equal(a, b) for (*_, one), (*_, other) in zip(seen, expected) for a, b in zip(one, other))
    assert [row["images_per_second"] for row in rows] == [60, 32]


def by_hand(model, data, images, labels):
    """Return the cross-entropy and the number of right answers, computed from their definitions."""
    logits = model(((images.float() - data.mean) / data.std).permute(0, 3, 1, 2))
    log_probabilities = logits - logits.exp().sum(1, keepdim=True).log()
    return -log_probabilities[torch.arange(len(labels)), labels].mean(), int((logits.argmax(1) == labels).sum())


def test_an_epoch_and_its_evaluation_match_those_written_out_by_hand(data):
    own, model = trainer(data), trainer(data).model.train()
    augmenter = Augmenter(data.train.images, data.mean, True, 1, 0, False)
    batches = list(training_batches(data.train.labels, augmenter, BATCH, SEED, 1))
    loss_sum, right, weights = 0.0, 0, list(model.parameters())
    for step, (images, labels) in enumerate(batches):
        loss, correct = by_hand(model, data, images, labels)
        with torch.no_grad():
            for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
                weight -= 0.01 / (1 + step) * gradient
        loss_sum, right = loss_sum + loss.item() * len(labels), right + correct
    found = own.train_epoch(batches, 0)
    assert (found.loss, found.accuracy) == (pytest.approx(loss_sum / 60, rel=1e-4), right / 60)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(own.model.parameters(), weights))
    loss, correct = by_hand(model.eval(), data, data.val.images, data.val.labels)
    found, _ = own.evaluate(data.val)
    assert (found.loss, found.accuracy) == (pytest.approx(loss.item(), rel=1e-4), correct / len(data.val))


def test_a_smaller_last_batch_counts_less():
    metrics = running_metrics(torch.tensor([1.0, 2.0]), torch.tensor([2, 1]), torch.tensor([4, 1]), first_step=0)
    assert (metrics.loss, metrics.accuracy) == (pytest.approx(1.2), 0.6)


def test_the_first_loss_that_is_not_finite_is_named():
    losses = torch.tensor([1.0, float("nan"), 2.0, float("inf")])
    with pytest.raises(Diverged, match="the loss was not finite, first at step 11") as error:
        running_metrics(losses, torch.zeros(4), torch.ones(4), first_step=10)
    assert error.value.step == 11


def test_a_validation_loss_that_is_not_finite_is_divergence(data, monkeypatch):
    diverged = trainer(data)
    monkeypatch.setattr(diverged, "evaluate", lambda split: (Metrics(float("inf"), 0.1), None))
    augmenter = Augmenter(data.train.images, data.mean, False, 0, 0, False)
    with pytest.raises(Diverged, match="the validation loss was not finite, first at step 4") as error:
        next(fit(diverged, data, augmenter, BATCH, SEED, total_steps=6))
    assert error.value.step == 4


def test_bf16_rounds_and_fp32_does_not(data):
    images = data.train.images[:BATCH]
    exact = trainer(data).model.double().train()(trainer(data).normalize(images).double())
    in_fp32, in_bf16 = (trainer(data, bf16).logits(images) for bf16 in (False, True))
    assert in_fp32.dtype == in_bf16.dtype == torch.float32
    assert (in_fp32 - exact).abs().max() < 1e-4 < 1e-3 < (in_bf16 - exact).abs().max() < 0.1
