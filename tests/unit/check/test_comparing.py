"""Figures of a comparison, and the report: ratios, what is missing, and that no page lets emulation speak for a processor."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from labctl.check.comparing import Figures, Surroundings, figure_in, figures_json, in_words
from labctl.check.comparison_page import cell_words, render_html, render_markdown, render_svg
from labctl.check.comparison_run import figures_of, require_same
from labctl.errors import UsageError
from labctl.lab.comparison import Comparison, Measure
from labctl.lab.values import Text

COMPARISON = Comparison.model_validate(
    {
        "start": "start",
        "kinds": [
            {"id": "native", "title": "native", "says": "a process", "node": "one", "yardstick": True},
            {"id": "hosted", "title": {"en": "hosted", "ja": "ホスト型"}, "says": "a machine", "node": "one"},
            {"id": "xen", "title": "<xen>", "says": "a domain", "node": "two"},
        ],
        "measures": [
            {"id": "start", "title": "start", "unit": "s", "better": "less", "tool": "nginx", "node": "x"},
            {"id": "cpu", "title": "CPU", "unit": "events/s", "better": "more", "tool": "sysbench", "inside": "x"},
        ],
        "questions": [{"id": "kernel", "title": "whose kernel", "inside": "uname"}],
        "source": "a paper",
        "published": [{"measure": "cpu", "kind": "hosted", "ratio": 0.98, "says": "Linpack"}],
    }
)
DEFAULT = Measure.model_fields["pattern"].default


def figures(accelerator: str = "tcg") -> Figures:
    made = Figures(COMPARISON, Surroundings("a machine", accelerator, "nested", {"kernel of one": "6.1"}, "2026-01-31"))
    made.kinds, made.measures = COMPARISON.kinds, COMPARISON.measures
    made.samples = {
        ("start", "native"): [1.0, 2.0, 9.0],
        ("start", "hosted"): [20.0],
        ("cpu", "native"): [500.0],
        ("cpu", "hosted"): [125.0],
    }
    made.samples[("cpu", "xen")] = [100.0]
    made.missing = {("start", "xen"): "not run: the time was up"}
    made.answers = {("kernel", "hosted"): "Linux <6.1>\nits own"}
    return made


def test_a_ratio_is_of_medians_and_to_native_on_the_same_node() -> None:
    made = figures()
    assert made.ratio("start", COMPARISON.kinds[1]) == pytest.approx(10)
    assert made.spread("start", "native") == (1.0, 9.0)
    assert made.spread("start", "hosted") is None
    assert made.ratio("cpu", COMPARISON.kinds[2]) is None, "there is no yardstick on its node"


@pytest.mark.parametrize(
    ("pattern", "text", "figure"),
    [
        (DEFAULT, "12.5\n", 12.5),
        (DEFAULT, "-3", -3.0),
        (DEFAULT, "starting\n7 MiB, 1.20\n", 1.2),
        (r"per second: ([0-9,.]+)", "x\nper second: 1,240.5 (mean)", 1240.5),
        (r"^sha256\s+([0-9.]+)k", "type 16384 bytes\nsha256   48861.45k\n", 48861.45),
    ],
)
def test_a_figure_is_found_in_what_a_tool_prints(pattern: str, text: str, figure: float) -> None:
    assert figure_in(pattern, text) == figure


@pytest.mark.parametrize(
    ("pattern", "text", "why"),
    [
        (DEFAULT, "", "nothing was printed"),
        (DEFAULT, "all done\n", "all done"),
        ("(.*)", "nan", "nan"),
        ("(.*)", "1e999", "1e999"),
        ("(x)?y", "y", "y"),
        ("(a+)+$", "a" * 40 + "b", "takes longer than"),
    ],
)
def test_what_is_no_figure_is_an_error_that_says_what_was_printed(pattern: str, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        figure_in(pattern, text)


def test_no_ratio_to_nothing() -> None:
    made = figures()
    made.samples["start", "native"] = [0.0]
    assert made.ratio("start", COMPARISON.kinds[1]) is None


@pytest.mark.parametrize(("value", "words"), [(0, "0"), (0.984, "0.98"), (12.34, "12.3"), (1240.4, "1,240"), (-3.0, "-3.00")])
def test_three_digits_that_count(value: float, words: str) -> None:
    assert in_words(value) == words


def test_a_cell_says_its_figure_or_why_there_is_none() -> None:
    made = figures()
    start, _ = COMPARISON.measures
    native, hosted, xen = COMPARISON.kinds
    assert cell_words(made, start, native, "en") == "2.00"
    assert cell_words(made, start, hosted, "en") == "20.0 ×10.0"
    assert cell_words(made, start, xen, "en") == "not run: the time was up"
    assert cell_words(made, start, xen, "ja") == "時間切れで、測っていない"
    made.missing["start", "xen"] = "xl: no such domain"
    assert cell_words(made, start, xen, "ja") == "xl: no such domain", "what a program said is not translated"


def test_data_has_every_sample_and_every_reason() -> None:
    measures: Any = figures_json(figures())["measures"]
    start, cpu = measures
    assert [cell["samples"] for cell in start["cells"]] == [[1.0, 2.0, 9.0], [20.0], []]
    assert start["cells"][2]["missing"] == "not run: the time was up"
    assert cpu["cells"][1]["published_ratio"] == 0.98


def test_what_was_measured_for_a_published_ratio_stands_below_the_tables() -> None:
    made = figures()
    assert "- CPU · hosted ×0.98: Linpack\n" in render_markdown(made, "en", "x.svg")
    assert "<li>CPU · ホスト型 ×0.98: Linpack</li>" in render_html(made, "ja")
    made.kinds = made.kinds[:1]
    assert "Linpack" not in render_html(made, "en"), "no column has it"


def test_the_picture_is_well_formed_and_shows_what_was_measured_and_what_was_published() -> None:
    root = ElementTree.fromstring(render_svg(figures(), "en"))
    space = "{http://www.w3.org/2000/svg}"
    assert [one.text for one in root.iter(f"{space}title")] == ["hosted: ×10.0", "hosted: ×0.25"]
    assert len(list(root.iter(f"{space}circle"))) == 1


def test_every_kind_with_a_figure_is_drawn_and_named_however_many_there_are() -> None:
    made, (native, hosted, _) = figures(), COMPARISON.kinds
    many = tuple(hosted.model_copy(update={"id": f"kind{number}", "title": Text(en=f"kind{number}")}) for number in range(9))
    made.kinds = (native, *many, hosted.model_copy(update={"id": "none", "title": Text(en="nothing measured")}))
    made.samples |= {("start", kind.id): [4.0] for kind in many}
    picture = render_svg(made, "en")
    assert [f"kind{number}: ×2.00" in picture and f">kind{number}<" in picture for number in range(9)] == [True] * 9
    assert "nothing measured" not in picture


class Tags(HTMLParser):
    """Whether all that opens closes, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "br", "rect", "line", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "line", "circle"):
            assert self.open.pop() == tag


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_is_whole_and_escapes_what_guests_printed(language: str) -> None:
    page = render_html(figures(), language)
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert "Linux &lt;6.1&gt;" in page
    assert "<xen>" not in page
    assert "<script" not in page


@pytest.mark.parametrize(("language", "word"), [("en", "are emulated"), ("ja", "エミュレーションで動いている")])
def test_a_page_of_an_emulated_run_says_what_it_cannot_say(language: str, word: str) -> None:
    assert word in render_html(figures("tcg"), language)
    assert word not in render_html(figures("kvm"), language)
    assert word in render_markdown(figures("tcg"), language, "ratios.svg")


def test_each_row_of_the_markdown_has_a_cell_for_each_kind() -> None:
    table = [line for line in render_markdown(figures(), "en", "ratios.svg").splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {5}
    assert "Linux &lt;6.1&gt;; its own" in table[-1], "what a guest printed is neither markup nor a line of its own"


def test_a_run_is_read_back_from_its_json() -> None:
    made = figures()
    made.answers = {("kernel", "hosted"): "Linux"}
    read = figures_of(json.dumps(figures_json(made)), "run.json", COMPARISON)
    assert figures_json(read) == figures_json(made)


@pytest.mark.parametrize(("part", "word"), [("kinds", "kind"), ("measures", "measure"), ("questions", "question")])
def test_a_run_of_another_comparison_is_refused(part: str, word: str) -> None:
    data: Any = figures_json(figures())
    data[part][0]["id"] = "strange"
    with pytest.raises(UsageError) as refused:
        figures_of(json.dumps(data), "run.json", COMPARISON)
    assert refused.value.why == f"the lab's comparison.yaml has no {word} `strange`"


def test_only_runs_of_one_machine_and_software_belong_together() -> None:
    before = figures().surroundings
    require_same(before, replace(before, date="2026-02-01"))
    for other in (replace(before, accelerator="kvm"), replace(before, versions={"kernel of one": "6.5"}), replace(before, versions={})):
        with pytest.raises(UsageError):
            require_same(before, other)
