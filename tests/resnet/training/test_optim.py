import pytest
import torch

from resnet.training.optim import make_optimizer, make_schedule, set_lr

STEPS = 100


def pytorchs(scheduler: type, **options) -> list[float]:
    """Return the learning rates that one of PyTorch's schedulers goes through."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = scheduler(optimizer, **options)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize(
    "ours, theirs",
    [
        ({"name": "constant"}, (torch.optim.lr_scheduler.ConstantLR, {"factor": 1.0})),
        (
            {"name": "multistep", "milestones": [0.5, 0.75], "gamma": 0.1},
            (torch.optim.lr_scheduler.MultiStepLR, {"milestones": [50, 75], "gamma": 0.1}),
        ),
        ({"name": "cosine"}, (torch.optim.lr_scheduler.CosineAnnealingLR, {"T_max": STEPS})),
        # PyTorch's ends at its last step, ours one step later, so theirs gets one step more
        ({"name": "onecycle"}, (torch.optim.lr_scheduler.OneCycleLR, {"max_lr": 0.1, "total_steps": STEPS + 1})),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_schedules_match_pytorchs(ours, theirs):
    schedule = make_schedule(lr=0.1, total_steps=STEPS, **ours)
    scheduler, options = theirs
    # PyTorch starts to count the 30 % of its cycle one step later
    tolerance = 0.004 if ours["name"] == "onecycle" else 1e-9
    assert [schedule(step) for step in range(STEPS)] == pytest.approx(pytorchs(scheduler, **options), abs=tolerance)


def test_one_cycle_starts_peaks_and_ends_at_the_right_rates():
    schedule = make_schedule("onecycle", 0.1, STEPS)
    assert [schedule(0), schedule(30), schedule(STEPS)] == pytest.approx([0.1 / 25, 0.1, 0.1 / 250_000])
    assert make_schedule("onecycle", 0.1, total_steps=1)(0) == pytest.approx(0.1 / 25)


def test_the_rate_returns_to_its_schedule_after_the_warm_up():
    schedule = make_schedule("multistep", 0.1, 1000, milestones=[0.5], warmup=0.04, warmup_factor=0.1)
    rates = [schedule(step) for step in (0, 39, 40, 499, 500)]
    assert rates == pytest.approx([0.01, 0.01, 0.1, 0.1, 0.01])


def test_fractions_fall_on_the_papers_steps():
    """He et al. 2016, section 4.2: at 32k and 48k of 64k; a warm-up of 400 steps."""
    schedule = make_schedule("multistep", 0.1, 64_000, [0.5, 0.75], 0.1, warmup=0.00625, warmup_factor=0.1)
    changes = [step for step in range(1, 64_000) if schedule(step) != schedule(step - 1)]
    assert changes == [400, 32_000, 48_000]


@pytest.mark.parametrize("name, momentum", [("adam", 0.0), ("adamw", 0.0), ("sgd", 0.9)])
def test_optimizers_take_the_same_steps_as_pytorchs(name, momentum):
    def stepped(optimizer_of) -> torch.Tensor:
        weight = torch.nn.Parameter(torch.arange(8.0))
        optimizer = optimizer_of([weight])
        for rate in (0.1, 0.01):
            set_lr(optimizer, rate)
            optimizer.zero_grad()
            (weight**2).sum().backward()
            optimizer.step()
        return weight.detach()

    theirs = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[name]
    options = {"momentum": momentum, "nesterov": True} if momentum else {}
    ours = stepped(lambda p: make_optimizer(p, name, 0.5, 0.01, momentum, bool(momentum)))
    assert torch.allclose(ours, stepped(lambda p: theirs(p, lr=0.5, weight_decay=0.01, **options)))
