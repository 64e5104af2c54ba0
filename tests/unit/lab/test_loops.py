"""Links that stand for many, and addresses on links: what they are written out to."""

import pytest

from labctl.errors import LoadError
from tests.unit.lab.conftest import LoadText

GRID = """
nodes: {r11..r13: l2-switch, r21..r23: l2-switch}
links:
  - each: {row: 1..2, column: 1..2}
    ends: r{row}{column}:eth1 -- r{row}{column+1}:eth2
    vlan: "{column}"
    addresses: ["10.{row}.{column}.1/30", "10.{row}.{column}.2/30"]
  - each: {column: 2..3}
    ends: r1{column}:eth3 -- r2{column}:eth3
  - ends: r11:eth3 -- r21:eth3
    addresses: [10.9.0.1/30, 10.9.0.2/30]
addresses:
  r11: {lo: 10.255.0.1/32, eth3: 10.8.0.1/24}
"""


def test_a_link_with_each_is_written_out(load_text: LoadText) -> None:
    assert [f"{link.a} -- {link.b}" for link in load_text(GRID).links] == [
        "r11:eth1 -- r12:eth2",
        "r12:eth1 -- r13:eth2",
        "r21:eth1 -- r22:eth2",
        "r22:eth1 -- r23:eth2",
        "r12:eth3 -- r22:eth3",
        "r13:eth3 -- r23:eth3",
        "r11:eth3 -- r21:eth3",
    ]


def test_braces_that_are_all_of_a_text_are_a_number(load_text: LoadText) -> None:
    port = load_text(GRID).node("r12").interface("eth1")
    assert port.settings["vlan"] == 2


def test_addresses_of_a_link_join_the_table(load_text: LoadText) -> None:
    lab = load_text(GRID)
    assert {port.name: [str(one) for one in port.addresses] for port in lab.node("r11").interfaces} == {
        "eth1": ["10.1.1.1/30"],
        "eth3": ["10.8.0.1/24", "10.9.0.1/30"],
        "lo": ["10.255.0.1/32"],
    }
    assert [str(one) for one in lab.node("r22").interface("eth2").addresses] == ["10.2.1.2/30"]


def test_more_links_than_a_lab_may_have_are_refused_before_they_are_made(load_text: LoadText) -> None:
    loop = "  - {each: {a: 1..32, b: 1..32}, ends: 'r11:e{a}x{b} -- r12:e{a}x{b}'}\n"
    with pytest.raises(LoadError, match="more than 8192 links"):
        load_text("nodes: {r11..r12: host}\nlinks:\n" + loop * 400)
