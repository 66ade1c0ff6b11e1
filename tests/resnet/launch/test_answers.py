"""What the command line says about wrong requests, nearly all of it printed by real processes."""

import sys

import pytest

from resnet.errors import ConfigError
from resnet.launch.compose import compose_config
from resnet.launch.plan import check_config
from tests.conftest import imported

ALL_KEYS = "python -m resnet.run --cfg job prints them all"
NO_CHOICE = "must be the name of a choice, see --help; to set one value, give "


@pytest.mark.parametrize(
    "arguments, answer",
    [
        ("-cd . seed=0,1", "error: seed=0,1: to sweep over several values, add -m"),
        ("foo=1", f"error: foo: no such key; {ALL_KEYS}"),
        ("model.widht=8", f"error: model.widht: no such key, did you mean model.width?; {ALL_KEYS}"),
        ("optimizer.foo=1", f"error: optimizer.foo: no such key; {ALL_KEYS}"),
        ("modle=blocks4", f"error: modle: no such key, did you mean model?; {ALL_KEYS}"),
        (
            "hydra.job.nme=x",
            f"error: hydra.job.nme: no such key; {ALL_KEYS.replace('job', 'hydra')}, +hydra.job.nme=VALUE adds one",
        ),
        ("optimizer=adan", "error: optimizer=adan: must be one of adam, adamw, sgd"),
        ("optimizer=", "error: optimizer=: must be one of adam, adamw, sgd"),
        ("epochs=7", f"error: epochs=7: {NO_CHOICE}epochs.KEY=VALUE"),
        ("hydra/launcher=3", f"error: hydra/launcher=3: {NO_CHOICE}hydra.launcher.KEY=VALUE"),
        ("experiment=null", "error: experiment=null: must be the name of an experiment; without one, leave it out"),
        ("seed=null", "error: seed=null: field 'seed' is not Optional"),
        ("data.root=${nope}", "error: data.root: Interpolation key 'nope' not found"),
        ("model.stages=3", "error: model.stages=3: must be a list, e.g. [3,3,3]"),
        ("model.stages=[[1]]", "error: model.stages=[[1]]: must hold a whole number for each stage, e.g. [3,3,3]"),
        ("seed=0,1", "error: seed=0,1: to sweep over several values, add -m"),
        ("seed=0,1 plan=true", "error: seed=0,1: to sweep over several values, add -m"),
        ("seed=( plan=true", "error: seed=(: cannot be read as key=value"),
        ("seed=0,1 --cfg job", "error: seed=0,1: --cfg shows one run; give one value"),
        ("data.root", "error: data.root: not of the form key=value"),
        ("seed=(", "error: seed=(: cannot be read as key=value"),
        ("task=inspect precision=bf16", "error: precision=bf16: an inspection measures in fp32; give precision=auto"),
        (
            "experiment=reach90 hydra.run.dir=x",
            "error: hydra.run.dir=x: an experiment is a sweep; give hydra.sweep.dir",
        ),
        ("batch_size=0", "error: batch_size=0: must lie between 1 and 1000000"),
        ("epochs.steps=9", "error: epochs.steps=9: epochs.count=20 wins; add epochs.count=null"),
        ("-m seed=1,2 model.width=8,0", "error: model.width=0: must lie between 1 and 4096"),
        ("-m model=glob(tiny*)", "error: model=glob(tiny*): has no values, so there is nothing to run"),
        (
            "-m seed=interval(0,9)",
            "error: seed=interval(0,9): a grid needs a list of values; for an interval use hydra/sweeper=search",
        ),
        (
            "-m compile=true,false seed=0,1",
            "error: compile=True,False: makes one run, not two; give each value a study of its own",
        ),
        ("plan=true batch_size=46000", "error: batch_size=46000: must be at most 45000, the number of training images"),
        (
            "data=folder data.root=~nobody-0/x",
            "error: data.root=~nobody-0/x: must be a folder; there is no user ~nobody-0",
        ),
        ("optimizer.lr=0.1 study=${lr}", "error: study=${lr}: there is no key lr"),
        ("hydra.run.dir=${nope}/x", "error: hydra.run.dir=${nope}/x: there is no key nope"),
        ("seed=${oc.env:NOPE}", "error: seed=${oc.env:NOPE}: there is no environment variable NOPE"),
    ],
)
def test_a_wrong_request_gets_a_one_line_error(command, tmp_path, arguments, answer):
    done = command("resnet.run", *arguments.split(), code=2)
    assert done.stderr == answer + "\n"
    assert not (tmp_path / "runs").exists(), "a request that makes no sense writes nothing"


@pytest.mark.parametrize("arguments", ["optimizer.lr=fast", "-m seed=1,x"])
def test_a_value_of_the_wrong_type_gets_a_one_line_error(command, tmp_path, arguments):
    done = command("resnet.run", *arguments.split(), code=2)
    wrong = arguments.split()[-1].replace("1,x", "x")
    assert done.stderr.startswith(f"error: {wrong}: ") and done.stderr.count("\n") == 1, "then OmegaConf's own message"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "overrides, answer",
    [
        (["data.limit=1"], "data.val_fraction=0.1: 10 images of 10 classes are too few to split"),
        *(
            (
                ["model.stages=[1,1,1,1]", f"batch_size={size}"],
                f"batch_size={size}: leaves a last batch of one image, which the 4 stages of model.stages reduce to "
                "one pixel, too little for batch norm; take another batch size, or fewer stages",
            )
            for size in (1, 4)  # of 1,293 images
        ),
    ],
)
def test_a_plan_refuses_what_does_not_fit_the_data(overrides, answer):
    with pytest.raises(ConfigError) as refused:
        check_config(compose_config(["data=digits", *overrides]))
    assert str(refused.value) == answer


def test_a_plan_accepts_a_deep_network_whose_last_batch_has_several_images():
    check_config(compose_config(["data=digits", "model.stages=[1,1,1,1]", "batch_size=1000"]))


@pytest.mark.parametrize("name, module", [("wandb", "wandb"), ("tensorboard", "tensorboard.compat.proto")])
def test_a_plan_refuses_a_tracker_that_is_not_installed(monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    reason = rf'ModuleNotFoundError: .*{module}.*; install it with pip install -e "\.\[{name}\]"'
    with pytest.raises(ConfigError, match=f"^logger={name}: {reason}$"):
        check_config(compose_config(["data=digits", f"logger={name}"]))


@pytest.mark.parametrize("choice", ["hydra/launcher=parallel", "hydra/launcher=slurm", "hydra/sweeper=search"])
def test_a_missing_extra_is_named_in_one_line(command, tmp_path, choice):
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "hydra_plugins" / "__init__.py").write_text("")  # hides the installed ones
    done = command("resnet.run", "-m", choice, code=2)
    assert done.stderr == f'error: {choice}: is not installed; pip install -e ".[{choice.partition("=")[2]}]"\n'


def test_a_missing_gpu_is_reported(train):
    done = train("device=cuda", code=2, env={"CUDA_VISIBLE_DEVICES": ""})
    assert "device=cuda: PyTorch finds no GPU here; use device=cpu or" in done.stdout
    assert not done.stderr and len(done.stdout.splitlines()) == 1


@pytest.mark.slow
def test_without_data_and_internet_it_says_what_to_do(command):
    done = command("resnet.run", "data.root=nowhere", "device=cpu", code=1, env={"https_proxy": "http://127.0.0.1:9"})
    lines = done.stdout.splitlines()
    assert "data.root=nowhere does not hold CIFAR10 whole, and downloading https://" in lines[0]
    assert lines[1].startswith("Put the folder cifar-10-batches-py into nowhere") and "data=digits" in lines[1]
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [("--cfg", "job"), ("--help",), ("modle=blocks4",)])
def test_an_answer_needs_no_heavy_import(command, arguments):
    code = 2 if "=" in arguments[0] else 0
    done = command("resnet.run", *arguments, code=code, env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert "hydra" in imported(done)
    assert not imported(done) & {"torch", "numpy", "pandas", "sklearn", "matplotlib", "torchvision"}


def test_help_shows_commands_choices_and_keys_on_one_page(command):
    page = command("resnet.run", "--help").stdout
    for what in ("python -m resnet.run model=blocks15", "-m model=blocks4,blocks15", "blocks27", "epochs.count=7"):
        assert what in page
    assert len(page.splitlines()) < 50 and max(map(len, page.splitlines())) <= 160
