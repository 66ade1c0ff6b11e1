"""The documents: generated blocks are up to date, commands are valid, links resolve, and both READMEs say the same."""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from PIL import Image

from tests.analysis import studies
from tests.analysis.conftest import Builder

ROOT = Path(__file__).resolve().parents[1]
ENGLISH, KOREAN = ROOT / "README.md", ROOT / "README.ko.md"
DOCUMENTS = [ENGLISH, KOREAN, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TOUR = ROOT / "docs" / "tour.ipynb"
FOREIGN = ("source", "tensorboard", "jupyter")  # commands from elsewhere
ON_GITHUB = "../../"  # leads from the README on GitHub to the repository's other pages


@pytest.fixture(scope="module")
def generate():
    sys.path.insert(0, str(ROOT / "docs"))
    yield importlib.import_module("generate")
    sys.path.remove(str(ROOT / "docs"))


def read(path: Path) -> str:
    """Return a document's Markdown; for a notebook, that of its Markdown cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")


def sections(text: str) -> list[str]:
    """Return a document's sections, each starting with its heading, without code blocks."""
    return re.split(r"^(?=#+ )", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), flags=re.MULTILINE)


def code_lines(text: str) -> list[str]:
    """Return the lines of code blocks without a language, which are commands."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [line.split(" #")[0].strip() for kind, block in blocks if not kind for line in block.splitlines()]


def commands() -> list[str]:
    """Return every command in the documents: lines of code blocks, and inline `python …`, `make …` or `pip …`."""
    texts = [read(path) for path in (*DOCUMENTS, TOUR)]
    inline = [
        code for text in texts for part in sections(text) for code in re.findall(r"`((?:python|make|pip) [^`]+)`", part)
    ]
    return sorted({*inline, *(line for text in texts for line in code_lines(text))})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_generated_blocks_are_up_to_date(generate, document):
    assert generate.fill(read(document)) == read(document), "out of date: run `make results`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_line_starts_with_a_generated_marker_followed_by_text(document):
    """Markdown would treat such a line as HTML and leave the text after the marker unformatted."""
    assert not re.findall(r"^ {0,3}<!-- generated.*-->.+$", read(document), re.MULTILINE)


def test_a_generated_block_is_replaced_in_place_by_its_commands_output(generate, monkeypatch):
    monkeypatch.setattr(generate, "output", lambda command: f"<{command}>\n")
    inline, block = "a <!-- generated: x 1 -->old<!-- end --> b", "<!-- generated: y -->\nold\n\nold\n<!-- end -->"
    assert generate.fill(inline) == "a <!-- generated: x 1 --><x 1><!-- end --> b"
    assert generate.fill(block) == "<!-- generated: y -->\n<y>\n<!-- end -->"


@pytest.mark.parametrize("command", commands())
def test_commands_are_valid(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_own(tmp_path)
    words = shlex.split(command.replace("=RATE", "=0.1"))
    for word in words:
        assert not word.startswith("runs/reference") or (ROOT / word).exists(), word
    if words[:2] == ["python", "-m"]:
        check_module(words[2], words[3:])
    elif words[0] == "python":
        assert (ROOT / words[1]).is_file()
    elif words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        subprocess.run(("make", "--dry-run", *targets), cwd=ROOT, check=True, capture_output=True)
    elif words[0] == "pip":
        check_extras(command)
    else:
        assert words[0] in FOREIGN or re.fullmatch(r"RUN=\S+", command) and (ROOT / words[0][4:]).is_dir()


@pytest.mark.parametrize(
    "overrides",
    [
        ("hydra/launcher=slurm", "+hydra.launcher.additional_parameters.qos=high"),
        ("--config-dir", "mine", "hydra/launcher=ours"),
        ("hydra/launcher=parallel", "hydra.launcher.n_jobs=4"),
        ("hydra/sweeper=search", "hydra.sweeper.sampler.seed=1", "hydra.sweeper.n_trials=30"),
    ],
)
def test_settings_of_launchers_and_searches_are_valid(overrides, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_own(tmp_path)
    for override in overrides:
        assert override == "mine" or any(override in read(document) for document in DOCUMENTS)
    check_overrides([*overrides], True)


def write_own(folder: Path) -> None:
    """Write what the commands of the documents need: the choices that they show, an experiment, and pictures."""
    (choice, launcher) = (
        re.findall(r"^```yaml\n(.*?)^```", read(ROOT / "docs" / name), re.DOTALL | re.MULTILINE)[0]
        for name in ("own.md", "scale.md")
    )
    files = {
        "model/tiny.yaml": choice,
        "experiment/NAME.yaml": "# @package _global_\nstudy: mine\n",
        "hydra/launcher/ours.yaml": launcher,
    }
    for name, text in files.items():
        path = folder / "mine" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    for part in ("train/a", "train/b", "test/a", "test/b"):
        path = folder / "flowers" / part
        path.mkdir(parents=True)
        for number in range(20):
            Image.new("RGB", (40, 30), (number, 0, 0)).save(path / f"{number}.png")


def check_module(module: str, arguments: list[str]) -> None:
    """Raise unless one of our commands accepts its arguments; do not train or measure, only compose overrides."""
    if module == "resnet.run":
        check_overrides([word for word in arguments if word not in ("-m", "--cfg", "job", "--help")], "-m" in arguments)
    elif module == "resnet.inspect":
        check_overrides(arguments, True)
    elif module == "resnet.benchmark":
        benchmark = importlib.import_module("resnet.benchmark.__main__")
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
            patch.setattr(benchmark, "set_up_process", sys.exit)  # the next call, if the section exists
            patch.setattr(sys, "argv", [module, *arguments])
            benchmark.main()
        check_overrides([word for word in arguments if "=" in word], False)
    elif module == "analysis.benchmark":
        assert {word for word in arguments if not word.isdigit()} <= {"--runs", "--epochs"}
    elif module.startswith("analysis."):
        write_runs()
        assert importlib.import_module(module).main(arguments) == 0
    else:
        with pytest.raises(importlib.import_module("resnet.errors").UserError):  # no such run exists here
            importlib.import_module(module).main(arguments)  # SystemExit if an argument is wrong


def write_runs() -> None:
    """Write the runs that commands of analysis/ need: the reference, and a user's own studies."""
    studies.rates(Builder(Path("runs")), lrs=(0.001, 0.01))
    for name in ("mine", "depth_short"):
        Path("runs", name).symlink_to("rates")
    Path("runs/reference").symlink_to(ROOT / "runs/reference")


def check_overrides(overrides: list[str], sweep: bool) -> None:
    """Compose overrides of resnet.run, as often as it takes to use every value of a sweep."""
    importlib.import_module("resnet.run")  # registers the sweeper and launchers
    compose = importlib.import_module("resnet.launch.compose").compose_config
    values, own = [], []
    if "--config-dir" in overrides:  # what the command line turns it into
        place = overrides.index("--config-dir")
        own = [f"hydra.searchpath=[file://{overrides[place + 1]}]"]
        overrides = overrides[:place] + overrides[place + 2 :]
    for override in OverridesParser.create().parse_overrides(overrides):
        if override.is_sweep_override():
            assert sweep or any(word.startswith("experiment=") for word in overrides), "a sweep needs -m"
            values.append([f"{override.get_key_element()}={value}" for value in several_values(override)])
        else:
            values.append([override.input_line])
    for turn in range(max(map(len, values), default=1)):
        compose([*own, *(several[turn % len(several)] for several in values)])


def several_values(override: Override) -> list[str]:
    """Return the values of a sweep, or the two ends of an interval."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        return [str(value.start), str(value.end)]
    return list(override.sweep_string_iterator())


def check_extras(command: str) -> None:
    """Check that the extras of a `pip install` exist in setup.cfg."""
    if "-e" not in command:  # a third-party package
        return
    (found,) = re.findall(r"-e \S*?\.(?:\[(.*?)\])?\"?$", command)
    extras = re.search(r"^\[options.extras_require\]\n(.*?)^\[", read(ROOT / "setup.cfg"), re.DOTALL | re.MULTILINE)
    assert extras and set(filter(None, found.split(","))) <= set(re.findall(r"^(\w+) =", extras[1], re.MULTILINE))


def test_the_block_in_the_design_document_counts_its_parameters_and_trains(monkeypatch):
    import torch

    from resnet.training import model

    (block,) = re.findall(r"^```python\n(.*?)^```", read(ROOT / "docs" / "design.md"), re.DOTALL | re.MULTILINE)
    names = dict(vars(model))
    exec(block, names)
    monkeypatch.setattr(model, "BLOCKS", names["BLOCKS"])
    for shortcut in ("projection", "pad", "none"):
        network = model.Network((1, 2), 4, shortcut, block="preact")
        built = network.build()
        assert network.cost(8).parameters == sum(weights.numel() for weights in built.parameters())
        built(torch.randn(2, 3, 8, 8)).square().sum().backward()
        assert all(weights.grad.any() for weights in built.parameters())


def test_the_python_code_in_own_md_trains_and_loads(tmp_path, monkeypatch):
    import torch

    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```python\n(.*?)^```", read(ROOT / "docs" / "own.md"), re.DOTALL | re.MULTILINE)
    length, names = '"epochs.count=5"', {}
    assert length in block
    exec(block.replace(length, '"epochs.count=1", "data.limit=20", "model.width=8", "device=cpu"'), names)
    assert names["result"] == json.loads((names["folder"].path / "result.json").read_text())
    assert names["network"](torch.zeros(1, 1, 8, 8)).shape == (1, 10) and not names["network"].training


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives a document's headings."""
    titles = re.findall(r"^#+ (.+)$", "".join(sections(read(path))), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", [*DOCUMENTS, TOUR], ids=lambda path: path.name)
def test_links_resolve(document):
    text = re.sub(r"`[^`]*`", "", "".join(sections(read(document))))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("https://", ON_GITHUB)):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name) if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def numbers(section: str) -> list[str]:
    """Return the numbers a reader sees, sorted as text."""
    visible = re.sub(r"<!--.*?-->|`[^`]*`|\]\([^)]*\)", "", section)
    return sorted(re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", visible))


def test_both_readmes_have_the_same_sections_commands_and_numbers():
    english, korean = read(ENGLISH), read(KOREAN)
    assert code_lines(korean) == code_lines(english)
    assert len(sections(korean)) == len(sections(english))
    for ours, theirs in zip(sections(korean), sections(english)):
        assert re.findall("^#*", ours) == re.findall("^#*", theirs)
        assert numbers(ours) == numbers(theirs), theirs.splitlines()[0]
        assert re.findall(r"`[^`]+`", ours) == re.findall(r"`[^`]+`", theirs)


def test_the_readme_is_short():
    assert len(read(ENGLISH).split()) <= 1200, "CONTRIBUTING.md states this limit"


def text(page: str) -> str:
    """Return a file with no more than the texts of its figures, whose bytes depend on the version of Matplotlib."""
    texts = lambda svg: re.sub("<[^>]*>", "", " ".join(re.findall("<text.*?</text>", svg[0], re.DOTALL)))  # noqa: E731
    return re.sub("<svg.*?</svg>", texts, page, flags=re.DOTALL)


@pytest.mark.slow
def test_report_figures_and_documents_are_what_make_results_makes(tmp_path):
    done = subprocess.run(("git", "ls-files", "-z"), cwd=ROOT, capture_output=True, text=True, check=True)
    files = [file for file in done.stdout.split("\0") if (ROOT / file).is_file()]
    drawn = [file for file in files if re.fullmatch(r"runs/reference/\w+\.(svg|html)", file)]
    for file in set(files) - set(drawn):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, tmp_path / file)
    make = ("make", "results", f"VENV={sys.prefix}", "INSTALLED=")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    subprocess.run(make, cwd=tmp_path, env=environment, capture_output=True, check=True)
    made = [*drawn, *(str(document.relative_to(ROOT)) for document in DOCUMENTS)]
    assert {"runs/reference/report.html", "runs/reference/depth.svg"} <= {*drawn}
    stale = [file for file in made if text(read(ROOT / file)) != text(read(tmp_path / file))]
    assert not stale, "out of date: run `make results`"
