"""What the command line says about wrong requests, read from real processes."""

from pathlib import Path

import pytest

from tests.conftest import imported

ALL_KEYS = "python -m resnet.run --cfg job prints them all"


@pytest.mark.parametrize(
    "arguments, answer",
    [
        ("foo=1", f"error: foo: no such key; {ALL_KEYS}"),
        ("model.widht=8", f"error: model.widht: no such key, did you mean model.width?; {ALL_KEYS}"),
        ("optimizer.foo=1", f"error: optimizer.foo: no such key; {ALL_KEYS}"),
        ("modle=blocks4", f"error: modle: no such key, did you mean model?; {ALL_KEYS}"),
        ("+foo=1", f"error: foo: no such key; {ALL_KEYS}"),
        (
            "hydra.job.nme=x",
            f"error: hydra.job.nme: no such key; {ALL_KEYS.replace('job', 'hydra')}, +hydra.job.nme=VALUE adds one",
        ),
        ("optimizer=adan", "error: optimizer=adan: must be one of adam, adamw, sgd"),
        ("optimizer=", "error: optimizer=: must be one of adam, adamw, sgd"),
        ("optimizer.lr=fast", "error: optimizer.lr=fast: Value 'fast' of type 'str' could not be converted to Float"),
        ("model.stages=3", "error: model.stages=3: must be a list, e.g. [3,3,3]"),
        ("model.stages=[[1]]", "error: model.stages=[[1]]: must hold a whole number for each stage, e.g. [3,3,3]"),
        ("epochs.count=1.5", "error: epochs.count=1.5: Value '1.5' of type 'float' could not be converted to Integer"),
        ("seed=0,1", "error: seed=0,1: to sweep over several values, add -m"),
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
        (
            "epochs=he2015 -m epochs.count=7,8 epochs.steps=9,10",
            "error: epochs.steps=9: epochs.count=7 wins; add epochs.count=null",
        ),
        ("-m seed=1,2 model.width=8,0", "error: model.width=0: must lie between 1 and 4096"),
        ("model.width=8,0 -m seed=1,2", "error: model.width=0: must lie between 1 and 4096"),
        ("-m model=glob(tiny*)", "error: model=glob(tiny*): has no values, so that there is nothing to run"),
        (
            "-m seed=interval(0,9)",
            "error: seed=interval(0,9): a grid takes a list of values, intervals hydra/sweeper=search",
        ),
        ("-m seed=range(0)", "error: seed=range(0): has no values, so that there is nothing to run"),
        (
            "-m compile=true,false seed=0,1",
            "error: compile=True,False: makes one run, not two; give each value a study of its own",
        ),
        ("plan=true batch_size=46000", "error: batch_size=46000: must be at most 45000, the number of training images"),
        (
            "plan=true data=digits data.limit=1",
            "error: data.val_fraction=0.1: 10 images of 10 classes cannot be split so",
        ),
        (
            "plan=true data=digits model.stages=[1,1,1,1] batch_size=1",
            "error: batch_size=1: leaves a last batch of one image, of which the 4 stages of model.stages make one "
            "pixel, too little for batch norm; take another size, or fewer stages",
        ),
        ("-m hydra.sweeper.params=3", "error: hydra.sweeper.params=3: must hold values by key, e.g. {seed: '0,1'}"),
        (
            "data=folder data.root=~nobody-0/x",
            "error: data.root=~nobody-0/x: must be a folder; there is no user ~nobody-0",
        ),
        ("study=${nope}", "error: study=${nope}: there is no key nope"),
        ("optimizer.lr=0.1 study=${lr}", "error: study=${lr}: there is no key lr"),
        ("hydra.run.dir=${nope}/x", "error: hydra.run.dir=${nope}/x: there is no key nope"),
        ("seed=${oc.env:NOPE}", "error: seed=${oc.env:NOPE}: there is no environment variable NOPE"),
        ("-m seed=1,x", "error: seed=x: Value 'x' of type 'str' could not be converted to Integer"),
    ],
)
def test_a_wrong_request_is_answered_in_a_line(command, tmp_path, arguments, answer):
    done = command("resnet.run", *arguments.split(), code=2)
    assert done.stderr == answer + "\n"
    assert not (tmp_path / "runs").exists(), "nothing is written for a request that makes no sense"


def test_a_request_that_does_not_fit_the_data_is_refused(train, tmp_path):
    done = train("batch_size=5000", code=2)
    assert "batch_size=5000: must be at most 1293, the number of training images" in done.stdout
    assert not done.stderr and len(done.stdout.splitlines()) == 1, "in a line of ours alone, without Hydra's"
    assert not recorded(tmp_path)


def recorded(folder: Path) -> list[Path]:
    """Return what tells later that a run was begun in the folder."""
    return [path for path in folder.glob("runs/*/*/*/*") if path.name not in (".hydra", ".lock", "run.log")]


def test_a_missing_gpu_is_reported(train, tmp_path):
    nowhere, answer = {"CUDA_VISIBLE_DEVICES": ""}, "device=cuda: PyTorch finds no GPU here; use device=cpu or"
    done = train("device=cuda", code=2, env=nowhere)
    assert answer in done.stdout and not done.stderr and len(done.stdout.splitlines()) == 1
    train("-m", "device=cuda", "seed=0,1", code=1, env=nowhere)
    assert not recorded(tmp_path), "not even a failure.json: with a GPU, the same command trains"


@pytest.mark.slow
def test_without_data_and_network_it_says_what_to_do(command):
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


def test_help_shows_commands_choices_and_keys_on_a_page(command):
    page = command("resnet.run", "--help").stdout
    for what in ("python -m resnet.run model=blocks15", "-m model=blocks4,blocks15", "blocks27", "epochs.count=7"):
        assert what in page
    assert len(page.splitlines()) < 50 and max(map(len, page.splitlines())) <= 160
