"""Expectations on a text: each of them holds of one text and does not hold of another."""

import contextlib
import time
from typing import Any

import pytest

from labctl.check import texts
from labctl.check.texts import expects_text, rows, unmet, value_at
from labctl.lab.model import RunSeen

TABLE = '[{"ifname": "port1", "master": "br0", "vlans": [10, 20], "up": true}]'


def expect(**keys: Any) -> RunSeen:
    return RunSeen.model_validate({"node": "n1", "run": "x", **keys})


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"equals": "a b"}, "  a b\n"),
        ({"contains": "port1"}, "on port1"),
        ({"contains": ["a", "b"]}, "b a"),
        ({"lacks": ["x", "y"]}, "b a"),
        ({"matches": r"^b\d$"}, "a\nb1\nc"),
        ({"rows": 2}, "a\n\n  \nb\n"),
        ({"rows": 0}, "\n"),
        ({"rows": 1}, TABLE),
        ({"rows": {"at_least": 1, "at_most": 3}}, "a\nb"),
        ({"json": {"[0].ifname": "port1", "[0].vlans[1]": 20, "[0].up": True}}, TABLE),
    ],
)
def test_it_holds(keys: dict[str, Any], text: str) -> None:
    assert unmet(expect(**keys), text) == []


@pytest.mark.parametrize(
    ("keys", "text", "complaint"),
    [
        ({"equals": "a b"}, "a c", "the text is another"),
        ({"contains": ["a", "z"]}, "a", "“z” is not there"),
        ({"lacks": "a"}, "a", "“a” is there"),
        ({"matches": "^b$"}, "ab", "the expression is not found"),
        ({"rows": 0}, "a", "rows: 1"),
        ({"rows": 0}, TABLE, "rows: 1"),
        ({"rows": {"at_least": 3}}, "a\nb", "rows: 2"),
        ({"json": {"[0].up": 1}}, TABLE, "[0].up = true"),
        ({"json": {"[1].up": True}}, TABLE, "[1].up is not there"),
        ({"json": {"a": 1}}, "not json", "it is no JSON"),
        ({"json": {"a": 1}}, "", "it is no JSON"),
    ],
)
def test_it_does_not_hold(keys: dict[str, Any], text: str, complaint: str) -> None:
    assert [one.en for one in unmet(expect(**keys), text)] == [complaint]


def test_what_cannot_be_read_tells_nothing() -> None:
    with pytest.raises(ValueError, match="no regular expression"):
        unmet(expect(matches="("), "text")
    with pytest.raises(ValueError, match="is no path"):
        unmet(expect(json={"a[b": 1}), "{}")


def test_paths() -> None:
    document = {"a": {"b": [{"c": 1}]}}
    assert value_at(document, "a.b[0].c") == 1
    with pytest.raises(LookupError):
        value_at(document, "a.b.c")
    with pytest.raises(LookupError):
        value_at(document, "a[0]")


def test_a_deep_json_is_no_json() -> None:
    assert unmet(expect(json={"a": 1}), "[" * 100_000)[0].en == "it is no JSON"
    assert rows("[" * 100_000) == 1


def test_a_command_alone_expects_nothing_of_the_text() -> None:
    assert not expects_text(expect())
    assert expects_text(expect(rows=0))


@pytest.mark.parametrize("expression", ["(a+)+$", "(a|aa)+$", "(.*)*x", r"(a|b|ab)*c"])
def test_an_expression_that_takes_for_ever_is_given_up(expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "SEARCH_S", 0.2)  # the limit, not what it limits
    began = time.monotonic()
    with pytest.raises(ValueError, match="takes longer than"):
        unmet(expect(matches=expression), "ab" * 5000 + "a" * 50 + "!")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("expression", ["x{99999999999999}", "(" * 5000, "[[a]", "(?P<a>"])
def test_an_expression_that_is_none_is_told(expression: str) -> None:
    with contextlib.suppress(ValueError):
        unmet(expect(matches=expression), "x")
