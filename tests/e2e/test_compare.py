"""`labctl compare --quick` on real nodes, judged by what it printed; and its page in a real browser, as wide as a desktop and a phone."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import new_labctl

pytestmark = pytest.mark.e2e
WIDTHS = {"desktop": 1280, "phone": 390}
# What the page says of itself once it is laid out: its width, the window's, and how many figures and bars are to be seen.
ASK = """<script>addEventListener("load", () => {
  const seen = (what) => [...document.querySelectorAll(what)].filter((one) => one.getBoundingClientRect().height > 0).length
  document.title = JSON.stringify({page: document.documentElement.scrollWidth, window: innerWidth,
    cells: seen("tbody td"), bars: seen("svg rect[fill]")})
})</script>"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    """The data of one short run, and the directory with its pages."""
    place = tmp_path_factory.mktemp("compare")
    markdown = ("--markdown", str(place / "report.md"), "--markdown", str(place / "report.ja.md"))
    for labctl in new_labctl(tmp_path_factory.mktemp("state")):
        done = labctl("compare", "--quick", "--json", "--html", str(place / "report.html"), *markdown, timeout_s=3000)
        yield json.loads(done.stdout), place


def cell(data: Any, measure: str, kind: str) -> Any:
    (cells,) = (one["cells"] for one in data["measures"] if one["id"] == measure)
    return next(one for one in cells if one["kind"] == kind)


def test_each_kind_was_started_and_measured(run: tuple[Any, Path]) -> None:
    data, _ = run
    print(json.dumps({one["id"]: {c["kind"]: c["median"] for c in one["cells"]} for one in data["measures"]}, indent=1))
    for kind in ("native", "container", "hosted", "dom0", "xen"):
        for measure in ("start", "memory", "cpu"):
            found = cell(data, measure, kind)
            assert found["samples"], f"{measure} of {kind}: {found['missing']}"
    assert cell(data, "start", "emulated")["missing"] == "not in the short run"


def test_the_document_has_a_row_for_each_measure_and_its_plot_beside_it(run: tuple[Any, Path]) -> None:
    data, place = run
    rows = [line for line in (place / "report.md").read_text().splitlines() if line.startswith("| ") and "×" in line]
    assert len(rows) == len(data["measures"])
    assert "(report.svg)" in (place / "report.md").read_text()
    assert (place / "report.svg").read_text().startswith("<svg")


def test_a_machine_brings_an_os_and_a_container_does_not(run: tuple[Any, Path]) -> None:
    """Ratios that no speed of a machine turns round: a kernel must boot, and must lie in memory."""
    data, _ = run
    assert cell(data, "start", "hosted")["ratio_to_native"] > 3
    assert cell(data, "memory", "hosted")["median"] > 2 * cell(data, "memory", "container")["median"]
    assert cell(data, "memory", "xen")["median"] == 128


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_a_browser_shows_the_whole_page(run: tuple[Any, Path], width: int, tmp_path: Path) -> None:
    data, place = run
    (tmp_path / "page.html").write_text((place / "report.html").read_text().replace("</head>", ASK + "</head>"))
    page = f"file://{tmp_path}/page.html"
    browser = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", f"--window-size={width},900")
    shown = subprocess.run((*browser, "--dump-dom", page), capture_output=True, text=True, timeout=120, check=True).stdout
    title = re.search(r"<title>(.*?)</title>", shown, re.DOTALL)
    assert title, shown[:200]
    said = json.loads(title[1])
    assert said["page"] <= said["window"], "the page itself never scrolls sideways; its tables do"
    assert said["cells"] == len(data["measures"]) * len(data["kinds"])
    assert said["bars"] >= 6


def test_a_file_named_for_japanese_is_written_in_japanese(run: tuple[Any, Path]) -> None:
    _, place = run
    assert "コンテナ" in (place / "report.ja.md").read_text()
    assert "コンテナ" not in (place / "report.md").read_text()
