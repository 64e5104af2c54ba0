"""Impairments of links: read from a lab file and a command line, put together, refused where they cannot be."""

from typing import Any

import pytest

from labctl.errors import UsageError
from labctl.lab.impaired import impaired_more
from labctl.lab.impairments import NONE, Impairment, impairment_of, merged, read_words, why_impossible
from labctl.lab.plan import setup_of
from labctl.lab.topology import End
from tests.unit.lab.conftest import LoadText

LAB = """
nodes: {a: host, b: host}
links: ["a:eth1 -- b:eth1", {ends: "a:eth2 -- b:eth2", delay: 30ms, loss: 0%}]
"""


def test_a_link_gives_its_impairment_to_both_of_its_ends_and_to_no_other(load_text: LoadText) -> None:
    lab = load_text(LAB)
    for node in lab.nodes:
        assert node.interface("eth1").impairment == NONE
        assert node.interface("eth2").impairment == Impairment(delay="30ms"), "0% means nothing"


def test_what_is_changed_is_changed_at_one_end_and_shows_in_the_fingerprint_of_that_node(load_text: LoadText) -> None:
    lab = load_text(LAB)
    worse = impaired_more(lab, End("a", "eth2"), Impairment(loss="1%"))
    assert worse.node("a").interface("eth2").impairment == Impairment(delay="30ms", loss="1%")
    assert worse.node("b") == lab.node("b")
    assert setup_of(worse, worse.node("a")) != setup_of(lab, lab.node("a"))
    assert setup_of(worse, worse.node("b")) == setup_of(lab, lab.node("b"))
    assert worse.digest != lab.digest


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ({"delay": "30ms"}, {"loss": "1%"}, {"delay": "30ms", "loss": "1%"}),
        ({"delay": "30ms", "jitter": "5ms"}, {"jitter": "0ms"}, {"delay": "30ms"}),
        ({"loss": "1%", "rate": "10mbit"}, {"loss": "0.0%"}, {"rate": "10mbit"}),
        ({"mtu": 1400}, {"rate": "100kbit"}, {"mtu": 1400, "rate": "100kbit"}),
    ],
)
def test_what_is_not_named_stays_and_nothing_takes_away(before: dict[str, Any], changes: dict[str, Any], after: dict[str, Any]) -> None:
    assert merged(Impairment(**before), Impairment(**changes)).words() == after


@pytest.mark.parametrize(
    ("words", "key"),
    [({"jitter": "5ms"}, "jitter"), ({"reorder": "5%"}, "reorder"), ({"delay": "2m"}, "delay"), ({"delay": "1s", "jitter": "1s"}, None)],
)
def test_what_cannot_be_had_is_named(words: dict[str, Any], key: str | None) -> None:
    found = why_impossible(impairment_of(Impairment(**words)))
    assert (found and found[0]) == key


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"delay": "30"}, "a duration is written"),
        ({"loss": "1"}, "a share is written"),
        ({"loss": "100.5%"}, "a share is written"),
        ({"rate": "10M"}, "a rate is written"),
        ({"rate": "0mbit"}, "a rate is written"),
        ({"mtu": 20}, "from 68 to 9000"),
    ],
)
def test_a_wrong_word_of_a_command_line_is_told_with_what_it_should_look_like(words: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_words(words)
    assert why in refused.value.why
