"""The report in a real browser: no serious axe-core violation, no error, no page wider than the screen."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from analysis.report import main
from tests.analysis import studies

SCRIPT = Path(__file__).with_name("page.cjs")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MODULES = ("playwright-core", "axe-core")


@pytest.fixture(scope="session")
def browser() -> str:
    """Return the path of a Chromium; skip the test if there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return found or pytest.skip(f"needs one of {', '.join(BROWSERS)}")


@pytest.fixture(scope="session")
def node() -> dict[str, str]:
    """Return the environment in which node finds what page.cjs needs; skip the test if it does not."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("needs node and npm")
    shared = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True).stdout.strip()
    places = os.pathsep.join(filter(None, (os.environ.get("NODE_PATH"), shared)))
    environment = {**os.environ, "NODE_PATH": places}
    code = "".join(f"require.resolve('{name}');" for name in MODULES)
    if subprocess.run(["node", "-e", code], env=environment, capture_output=True).returncode:
        pytest.skip(f"needs `npm install -g {' '.join(MODULES)}`")
    return environment


@pytest.fixture
def look(browser, node):
    """Return a function that makes the report of all runs, opens it and returns what page.cjs found in each view."""

    def answer() -> list[dict]:
        assert main([]) == 0
        words = ["node", SCRIPT, browser, "report.html"]
        done = subprocess.run(words, env=node, capture_output=True, text=True, timeout=1800)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return answer


def assert_readable(looks: list[dict]) -> None:
    """Check that a phone, a tablet and a desktop, light and dark, show the whole page and nothing is wrong with it."""
    assert [(look["width"], look["colorScheme"]) for look in looks] == [
        (390, "light"),
        (390, "dark"),
        (800, "light"),
        (800, "dark"),
        (1200, "light"),
        (1200, "dark"),
    ]
    for look in looks:
        assert look["serious"] == look["errors"] == look["requests"] == look["cut"] == []
        assert look["pageWidth"] <= look["width"]


@pytest.mark.slow
def test_the_report_is_accessible_and_fits_a_phone(build, look):
    for stages in ([1, 1, 1], [9, 9, 9]):
        for shortcut in ("projection", "none"):
            for seed in (0, 1):
                run = build.complete(seed, **{"model.stages": stages, "model.shortcut": shortcut})
                build.look_inside(run)
                build.classify(run)
    build.complete(study="other")
    assert_readable(look())


@pytest.mark.slow
def test_a_search_over_many_settings_fits_a_phone(build, look):
    studies.random_search(build)
    studies.rates(build)
    assert_readable(look())
