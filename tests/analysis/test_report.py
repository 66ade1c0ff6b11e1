"""The report: one self-contained page with all its parts and the commands that reproduce its runs."""

import re
import shlex
import shutil
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from analysis.frames.experiments import question_of
from analysis.frames.runs import load_runs
from analysis.frames.study import Study, load_studies
from analysis.page.order import heading
from analysis.page.provenance import commands, differences, environments
from analysis.page.sections import short
from analysis.page.svg import smaller
from analysis.page.tables import page_grids
from analysis.report import main
from tests.analysis import studies
from tests.analysis.conftest import Builder, sentences

REFERENCE = Path(__file__).parents[2] / "runs" / "reference"
VOID = {"meta", "link", "wbr"}


class Page(HTMLParser):
    """A parsed page: its elements in order with their attributes, and all its text."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def report(build, capsys):
    """Return a function that runs the command line and returns the page, or stderr if it failed."""

    def answer(*arguments: object, code: int = 0) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == code
        printed = capsys.readouterr()
        return Path(printed.out.strip()).read_text() if code == 0 else printed.err

    return answer


def pair(build, **settings) -> None:
    """Write two seeds of each of two depths, with everything a report can show."""
    for network in ({}, studies.DEEP):
        for seed in (0, 1):
            run = build.complete(seed, test=0.8 + 0.05 * len(network) / 2 + 0.001 * seed, **network, **settings)
            build.look_inside(run)
            build.classify(run)


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> str:
    """Return the page of the pair and of one unfinished seed."""
    build = Builder(tmp_path_factory.mktemp("pair") / "runs")
    pair(build)
    build.begin(2, done=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(build.root.parent)
        assert main([]) == 0
        return Path("report.html").read_text()


def test_the_page_holds_all_its_parts(text):
    page = Page(text)
    assert page.open == []
    assert page.all("html") == [{"lang": "en"}]
    for part in (
        "Does a network get better",
        "10 layers, 2 stages and 32 layers, 3 stages",
        "80.05 ±\u00a00.07",
        "original project",
    ):
        assert part in page.text
    assert "1 unfinished" in page.text and "2 of 3 (1 unfinished: epoch 3/20)" in page.text
    assert len(page.all("figure")) == 8
    assert page.text.count("python -m resnet.run -m ") == 2
    assert "Made by python -m analysis.report\n" in page.text


def test_headings_are_in_order_and_tables_have_headers(text):
    page = Page(text)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(deeper - level <= 1 for level, deeper in zip(levels, levels[1:]))
    assert {head.get("scope") for head in page.all("th")} == {"col", "row"}
    assert len(page.all("caption")) == len(page.all("table")) == 3


def test_no_line_breaks_between_a_number_and_its_unit(text):
    assert "95\u00a0%" in text and not re.search(r"\d (%|pp)(?!\w)", text)


def test_wide_tables_scroll_within_their_frames(text):
    frames = [found for found in Page(text).all("div") if found.get("class") == "scroll"]
    assert len(frames) == len(re.findall('<table class="[^"]*fold', text)) > 0
    assert all(frame["tabindex"] == "0" and frame["role"] == "region" and frame["aria-label"] for frame in frames)


def test_a_note_on_a_table_appears_once(build, report):
    for seed, precision in enumerate(("bf16", "fp32")):
        for stages in ([2, 2], [5, 5]):
            build.amend(build.complete(seed, **{"model.stages": stages}), precision=precision)
    before, *_ = report().split("<details")
    assert before.count("were not all computed in the same way") == 1


def test_the_page_is_self_contained(text):
    page = Page(text)
    assert not page.all("script") and "@import" not in text
    used = [
        value for _, attributes in page.elements for name, value in attributes.items() if re.search("href|src", name)
    ]
    assert used and all(value.startswith(("#", "data:")) for value in used)
    assert re.findall(r"url\((?!#)", text) == []


def test_figures_have_descriptions_and_unique_ids(build, report):
    pair(build)
    pair(build, **{"data.name": "digits"})
    page = Page(report())
    pictures = page.all("svg")
    assert len(pictures) == 16 and {picture["role"] for picture in pictures} == {"img"}
    descriptions = [picture["aria-label"] for picture in pictures]
    assert "Legend: 2, 3" in descriptions[0] and "Horizontal: epoch" in descriptions[1]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = {
        value[1:]
        for _, found in page.elements
        for name, value in found.items()
        if name == "xlink:href" and value[0] == "#"
    }
    used |= {value[5:-1] for _, found in page.elements for value in found.values() if value.startswith("url(#")}
    assert used and used <= set(ids)


def test_every_picture_is_well_formed(text):
    for svg in re.findall("<svg .*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)


def test_part_of_the_data_is_not_called_the_whole(build, report):
    pair(build, **{"data.limit": 100})
    text = report()
    part = "cifar10, first 100 training images of each class"
    assert f"depth ({part})</h2>" in text and f"Trained on a part of the data only: {part}." in text
    assert "Accuracy of the last epoch by layers: depth (cifar10, first" in text


def test_the_name_of_a_folder_is_escaped(build, report):
    build.complete().parents[1].rename(build.root / "a <b> & 'c' $x$")
    text = report()
    assert "a &lt;b&gt; &amp; &#39;c&#39; $x$ (cifar10)" in text and "<b>" not in text


def test_a_folder_of_any_name_has_its_report(build, report):
    build.complete().parents[1].rename(build.root / "caf\udcff")
    assert r"caf\udcff (cifar10)" in report()


def test_a_report_may_have_one_run_or_no_complete_one(build, report):
    build.complete(**{"epochs.count": 2})
    assert "A single seed has no interval over seeds." in report()
    build.complete(1, **{"epochs.count": 2})
    assert "Nothing can be compared within this study" in report()
    build.begin(study="new", done=2)
    assert "No run is complete." in report("runs/new", "--out", "new.html")


def answers(page: str) -> list[str]:
    """Return the items of the list that opens a page, without tags."""
    (found,) = re.findall('<ul class="answer">(.*?)</ul>', page, re.DOTALL)
    return [re.sub("<.*?>", "", item).strip() for item in re.findall("<li>(.*?)</li>", found, re.DOTALL)]


def test_a_page_opens_with_a_few_sentences_that_have_an_interval(build, report):
    studies.depth(build)
    studies.rates(build, models=("blocks3",))
    found = answers(report())
    assert 3 <= len(found) <= 5 and all("interval" in text or "best by validation" in text for text in found)
    assert [text.rpartition(". ")[2].partition(",")[0] for text in found[:4]] == ["depth", "depth", "depth", "rates"]


def test_findings_without_an_interval_open_a_page_only_if_there_are_no_others(build, report):
    studies.depth(build, seeds=(0,))
    build.complete(study="alone")
    assert all("is open" in text for text in answers(report()))
    studies.rates(build, models=("blocks3",))
    assert not any("is open" in text for text in answers(report()))


def test_only_a_few_of_many_similar_findings_open_a_page(build, report):
    studies.rates(build)
    assert '<ul class="answer">' not in report()  # a single study has these in its own section
    build.complete(study="alone")
    best, *axes = answers(report())
    assert "optimizer.lr=0.1 is best" in best and len(axes) == 2
    assert any("optimizer.lr=0.1 is the best of 5 values" in text for text in axes)


def test_studies_are_ordered_by_importance(build, report):
    build.complete(study="alone")
    build.complete(1, study="alone")
    studies.rates(build, models=("blocks3",), lrs=(0.01, 0.1))
    for seed in (0, 1):
        for stages in ([2, 2], [5, 5]):
            build.complete(seed, study="by_depth", **{"model.stages": stages})
    studies.depth(build)
    for name, epochs in (("a_short", 5), ("z_long", 40)):
        for stages in ([2, 2], [5, 5]):
            for shortcut in ("projection", "none"):
                settings = {"model.stages": stages, "model.shortcut": shortcut, "epochs.count": epochs}
                for seed in (0,) if name == "z_long" else (0, 1):
                    build.complete(seed, study=name, **settings)
    names = re.findall('<p class="muted facts">(\\w+)', report())
    assert names == ["depth", "a_short", "z_long", "by_depth", "rates", "alone"]


def test_a_study_from_one_experiment_is_headed_by_its_question(build, report):
    choices = {"model": "blocks4", "experiment": "seed_table"}
    for stages in ([2, 2], [5, 5, 5]):
        build.complete(study="mine", choices=choices, **{"model.stages": stages})
    assert "hold over seeds?</h1>" in report()
    build.complete(study="mine", choices={"model": "blocks4"}, **{"model.stages": [9, 9, 9]})
    assert "hold over seeds?" not in report()


def test_half_a_comparison_names_the_other_half(build, report):
    for seed in (0, 1):
        build.complete(seed, choices={"experiment": "depth_or_width"})
    assert "compared with comes from <code>experiment=depth model=resnet56" in report()


@pytest.mark.slow
def test_a_search_over_many_configurations_stays_small(build, report):
    studies.random_search(build, 200)
    text = report()
    assert len(text.encode()) < 1_000_000
    tables = [table.count("<tr>") for table in re.findall("<table.*?</table>", text, re.DOTALL)]
    assert tables[0] == 25 and tables[1] == 201


def test_published_results_are_in_the_table_that_has_their_notes():
    first, whole = page_grids(*load_studies([str(REFERENCE / "he2015")]))
    assert "source" not in first.head and len(first.rows) == 1 < len(whole.rows) and "source" in whole.head


def test_a_page_shows_what_was_chosen_for_each_configuration(build):
    studies.rates(build)
    first, _ = page_grids(*load_studies(["runs"], ["optimizer.lr"]))
    assert [row[first.head.index("optimizer.lr")] for row in first.rows] == ["0.03", "0.1"]


def test_a_path_stays_the_same_in_fewer_characters():
    path = '<path d="M 0.001 1 L 2 -3.456789 L 4 5 C 1 2 3 4 5 6 L 7 8 L 9 1 z L 1 1 M 2 2 L 3 3"/>'
    assert smaller(path, "a") == '<path d="M 0 1 2 -3.46 4 5 C 1 2 3 4 5 6 L 7 8 9 1 z L 1 1 M 2 2 3 3"/>'


def test_the_report_of_the_reference_runs_is_not_too_large():
    assert (REFERENCE / "report.html").stat().st_size < 1_500_000


def test_environments_are_counted(build):
    for seed, commit in enumerate(("a" * 40, "a" * 40, "b" * 40)):
        machine = {"system": "Linux", "cpu": "Some CPU", "threads": 2, "gpu": None}
        known = {"versions": {"python": "3.11", "torch": "2.9"}, "machine": machine, "data": {"sha256": "c" * 64}}
        build.amend(build.complete(seed), git={"commit": commit, "dirty": seed == 2}, **known)
    build.complete(3)
    rows = environments(load_runs(["runs"])).rows
    same = ["unknown", "bf16", "Linux", "Some CPU", "2", "python 3.11, torch 2.9", "sha256 cccccccccccc"]
    assert rows == [
        ["2", "a" * 12, *same],
        ["1", f"{'b' * 12} with changes", *same],
        ["1", "unknown", "unknown", "bf16", *["unknown"] * 4, "sha256 unknown"],
    ]


def test_a_command_compiles_if_its_runs_were_compiled(build):
    build.complete(study="plain")
    build.amend(build.complete(study="merged"), compiled=True)
    for study, compiled, precision in (("plain", "false", "bf16"), ("merged", "true", "bf16, compiled")):
        runs = load_runs([f"runs/{study}"])
        assert f" compile={compiled}" in "".join(commands(Study("s", runs)).values())
        assert [row[3] for row in environments(runs).rows] == [precision]
    build.complete(1, study="merged")
    (lines,) = commands(*load_studies(["runs/merged"])).values()
    ends = [[word for word in line.split() if word.startswith(("seed", "compile"))] for line in lines.splitlines()]
    assert ends == [["seed=1", "compile=false"], ["seed=0", "compile=true"]]


def test_a_command_makes_the_same_configuration_again(build, command, tmp_path):
    """`--cfg job` prints the configuration; the command built from it prints the same one."""
    given = ("data=digits", "model=blocks3", "schedule=multistep", "schedule.milestones=[0.25,0.5]", "epochs.count=3")
    given += ("optimizer.lr=1e-3", "study=mine", "data.limit=20", "seed=4")
    run = tmp_path / "runs" / "mine" / "blocks3-projection-00000000" / "seed4"
    run.mkdir(parents=True)
    printed = command("resnet.run", *given, "--cfg", "job", "--resolve").stdout
    (run / "config.yaml").write_text(printed)
    (found,) = commands(*load_studies(["runs"])).values()
    words = shlex.split(found)
    assert words[:4] == ["python", "-m", "resnet.run", "-m"]
    again = command("resnet.run", *words[4:], "--cfg", "job", "--resolve").stdout
    assert yaml.safe_load(again) == yaml.safe_load(printed)


def test_a_command_names_the_folder_of_pictures_but_not_a_users_own_choice(build):
    own = {"data.name": "folder", "data.root": "flowers", "data.pictures": "ad972132"}
    build.begin(choices={"model": "tiny", "data": "folder"}, **own)
    (found,) = commands(*load_studies(["runs"])).values()
    words = shlex.split(found)
    assert {"data=folder", "data.root=flowers", "model.stages=[2,2]"} <= set(words)
    assert not any(word.startswith(("model=", "data.pictures=")) for word in words)


@pytest.mark.parametrize("root", ["/pics/cats,dogs", "it's (1)", "a=b", "[x]", r"a\b c", "end\\", r"it\'s"])
def test_a_command_quotes_text_that_hydra_would_interpret(build, root):
    build.begin(choices={"data": "folder"}, **{"data.name": "folder", "data.root": root})
    (found,) = commands(*load_studies(["runs"])).values()
    (word,) = [word for word in shlex.split(found) if word.startswith("data.root=")]
    (override,) = OverridesParser.create().parse_overrides([word])
    assert not override.is_sweep_override() and override.value() == root


def test_settings_that_only_another_study_varies_are_not_listed(build):
    build.complete(**{"optimizer.lr": 0.01})
    build.complete(study="other", **{"model.zero_init": True})
    (study,) = (study for study in load_studies(["runs"]) if study.name == "depth")
    shared = differences(study.configurations)[1]
    assert "optimizer.lr=0.01" in shared and not any("zero_init" in setting for setting in shared)


def test_one_epoch_is_singular(build, report):
    build.complete(**{"epochs.count": 1})
    build.complete(study="other", **{"epochs.count": 1})
    page = report()
    assert "depth, 1 epoch<" in page and "1 epochs" not in page


def test_a_copy_of_a_published_network_has_a_row_of_its_own(build, report):
    run = build.complete()
    shutil.copytree(run.parent, run.parent.with_name("copy"))
    assert Page(report()).text.count("copy") >= 2, "in the table of accuracies and in that of everything"


def test_a_page_with_a_comparison_does_not_say_that_nothing_is_compared(build, report):
    for lr in (0.01, 0.1):
        build.complete(**{"optimizer.lr": lr})
    page = Page(report()).text
    assert "tie for best by validation" in page and "compare nothing yet" not in page


def test_a_swept_condition_is_not_another_difference(build, table):
    for precision in ("fp32", "bf16"):
        build.amend(build.complete(precision=precision), precision=precision)
    compared = table("--compare", "precision=fp32", "precision=bf16")
    assert "They differ in precision" in compared
    assert "same precision" not in compared + str(sentences())


def test_a_study_keeps_its_name_where_its_title_is_short(build):
    for data in ("cifar10", "cifar100"):
        build.complete(study="mixed", **{"data.name": data, "data.limit": 100})
    assert [short(study) for study in load_studies(["runs"])] == [
        "mixed/cifar10, 20 epochs",
        "mixed/cifar100, 20 epochs",
    ]


def test_a_study_of_one_run_is_not_said_to_be_over_seeds(build):
    build.complete()
    assert heading(*load_studies(["runs"])) == "Accuracy of blocks4"


def test_a_command_leaves_out_where_runs_started_from_python_went(build):
    build.complete(choices={}, runs_dir="/scratch/alice")
    (command,) = commands(*load_studies(["runs"])).values()
    assert "runs_dir" not in command and "plan" not in command


def test_the_question_of_a_reference_study_is_known_wherever_its_folder_is():
    asked = [
        question_of([{"choices": {"experiment": "depth"}, "study": f"{place}reference/depth_short"}])
        for place in ("", "a/")
    ]
    assert asked[0] == asked[1] != question_of([{"choices": {"experiment": "depth"}, "study": "depth"}])
