"""Settings of roles: read by schema, changed on a lab, and what does not fit is said."""

import pytest

from labctl.errors import LoadError, UsageError
from labctl.lab.settings import change_settings, filled, kept_changes, parse_changes, read_settings
from labctl.lab.tree import Plain
from tests.unit.lab.conftest import LoadText

LAB = "nodes:\n  pc1: host\n  sw1: l2-switch\nlinks: [pc1:eth1 -- sw1:port1]\n"
TEXT = {"x": {"type": "string"}}
WHOLE = {"x": {"type": "integer"}}
NUMBER = {"x": {"type": "number"}}
FLAG = {"x": {"type": "boolean"}}
EITHER = {"x": {"type": ["string", "number"]}}
CHOICE = {"x": {"anyOf": [{"enum": ["1.10", "2.0"]}, {"type": "array", "items": {"type": "integer"}}]}}


@pytest.mark.parametrize(
    ("schema", "typed", "value", "read"),
    [
        (TEXT, "1.10", 1.1, "1.10"),
        (TEXT, "10", 10, "10"),
        (TEXT, "true", True, "true"),
        (WHOLE, "010", 10, 10),
        (WHOLE, "10", 10, 10),
        (NUMBER, "1.10", 1.1, 1.1),
        (FLAG, "TRUE", True, True),
        (EITHER, "10", 10, 10),
        (EITHER, "1.10", 1.1, "1.10"),
        (CHOICE, "1.10", 1.1, "1.10"),
        ({"x": {}}, "010", 10, "010"),
        ({"x": {}}, "10", 10, 10),
    ],
)
def test_an_unquoted_scalar_is_read_as_its_schema_wants_it(schema: dict[str, object], typed: str, value: float, read: object) -> None:
    values, problems = read_settings(schema, {"x": Plain(typed, value)}, "role x")
    assert problems == []
    assert values == {"x": read}
    assert type(values["x"]) is type(read)


def test_scalars_inside_lists_and_mappings_are_read_too() -> None:
    values, problems = read_settings(CHOICE, {"x": [Plain("010", 10), Plain("20", 20)]}, "role x")
    assert (values, problems) == ({"x": [10, 20]}, [])


def test_quotes_make_a_text_that_no_number_takes() -> None:
    values, problems = read_settings(WHOLE, {"x": "10"}, "role x")
    assert values == {}
    assert problems[0].what == "`x` is `10`"


def test_defaults_are_filled_in_inside_what_is_given() -> None:
    properties = {
        "a": {"default": 1},
        "b": {"properties": {"c": {"default": 2}}},
        "d": {"items": {"properties": {"e": {"default": 3}}}},
    }
    assert filled(properties, {"b": {}, "d": [{}, {"e": 4}]}) == {"a": 1, "b": {"c": 2}, "d": [{"e": 3}, {"e": 4}]}


def test_a_setting_is_changed_and_the_digest_with_it(load_text: LoadText) -> None:
    lab = load_text(LAB)
    changed = change_settings(lab, "sw1", {"learning": False})
    assert changed.node("sw1").settings == {"ageing": 300, "learning": False}
    assert lab.node("sw1").settings == {"ageing": 300, "learning": True}
    assert changed.digest != lab.digest
    assert change_settings(changed, "sw1", {"learning": True}) == lab


def test_a_ports_setting_is_changed_under_the_ports_name(load_text: LoadText) -> None:
    changed = change_settings(load_text(LAB), "sw1", {"port1": {"vlan": 20}})
    assert changed.node("sw1").interface("port1").settings == {"vlan": 20}


def test_words_of_a_command_line_are_read_like_a_lab_file(load_text: LoadText) -> None:
    changes = parse_changes({"learning": "false", "ageing": "010", "port1.vlan": "20"})
    switch = change_settings(load_text(LAB), "sw1", changes).node("sw1")
    assert switch.settings == {"ageing": 10, "learning": False}
    assert switch.interface("port1").settings == {"vlan": 20}
    assert parse_changes({"services": "[{port: 80}]"}) == {"services": [{"port": "80"}]}


@pytest.mark.parametrize("value", ["5", "[1]", "yes"])
def test_a_value_and_a_setting_inside_it_do_not_go_together(value: str) -> None:
    with pytest.raises(UsageError, match=r"port1=… and port1\.vlan=… do not go together"):
        parse_changes({"port1": value, "port1.vlan": "20"})


def test_changes_are_kept_with_the_types_that_the_role_gives_them(load_text: LoadText) -> None:
    changes = parse_changes({"ageing": "010", "port1.vlan": "20"})
    switch = change_settings(load_text(LAB), "sw1", changes).node("sw1")
    known = {"learning": False, "port1": {"isolated": True}}
    kept = kept_changes(known, changes, switch)
    assert kept == {"learning": False, "ageing": 10, "port1": {"isolated": True, "vlan": 20}}
    assert type(kept["ageing"]) is int


@pytest.mark.parametrize("text", ["[", "a: b: c", "*x", "\x07"])
def test_words_that_are_no_yaml_are_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError):
        parse_changes({"services": text})


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"lerning": True}, "no setting `lerning` in role l2-switch"),
        ({"ageing": -1}, "`ageing` is -1"),
        ({"learning": "no"}, "`learning` is `no`"),
        ({"port9": {"vlan": 1}}, "no setting `port9` in role l2-switch"),
        ({"port1": {"vlan": 0}}, "`vlan` is 0"),
        ({"port1": 5}, "`port1` is `5`"),
    ],
)
def test_changes_that_do_not_fit_are_told(load_text: LoadText, changes: dict[str, object], what: str) -> None:
    with pytest.raises(LoadError) as caught:
        change_settings(load_text(LAB), "sw1", changes)
    assert [fault.what for fault in caught.value.faults] == [what]


def test_an_unknown_node_is_wrong_usage(load_text: LoadText) -> None:
    with pytest.raises(UsageError) as caught:
        change_settings(load_text(LAB), "sw2", {})
    assert caught.value.hint == "did you mean `sw1`?"
