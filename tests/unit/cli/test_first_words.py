"""Files that people copy or read before labctl runs: the workflow for a CI service, and what `make demo` and `make test` say first."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WORKFLOW = (ROOT / "docs" / "ci" / "github-actions.yml").read_text()
README = (ROOT / "README.md").read_text()


def first_words(script: str) -> str:
    """What a script of packaging/ says before the set-up, its variables filled in."""
    text = (ROOT / "packaging" / script).read_text()
    values = dict(re.findall(r"^(\w+_mb)=(\d+)", text, re.MULTILINE))
    return re.sub(r"\$(\w+_mb)", lambda name: values[name[1]], text.partition('"$checkout/packaging/setup.sh"')[0])


def test_the_workflows_cache_is_keyed_by_what_labctl_says_after_the_set_up() -> None:
    steps = [WORKFLOW.index(part) for part in ("run: make setup", "labctl image key", "uses: actions/cache", "labctl prove")]
    assert steps == sorted(steps)
    assert re.search(r"id: images\n.*\n.*labctl image key\)\n.*>>\"\$GITHUB_OUTPUT\"\n", WORKFLOW)
    assert re.search(r"key: .*\$\{\{ steps\.images\.outputs\.key \}\}\n", WORKFLOW)


@pytest.mark.parametrize(("script", "minutes"), [("demo.sh", ("2.5",)), ("check.sh", ("39",))])
def test_what_is_said_about_time_is_what_was_measured(script: str, minutes: tuple[str, ...]) -> None:
    words = first_words(script)
    assert all(f"{figure} minutes" in README for figure in minutes)
    assert f"{' to '.join(minutes)} minutes" in words
    assert "Nothing was timed with KVM" in README
    assert "not timed with KVM" in words


def test_the_browser_is_named_before_anything_is_fetched() -> None:
    assert re.search(r"a browser.*\(100 MB\)", first_words("check.sh"), re.DOTALL)
