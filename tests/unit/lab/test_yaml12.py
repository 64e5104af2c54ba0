"""YAML's core rules of version 1.2: what was typed stays what was typed, and every value knows its place."""

import pytest

from labctl.lab.tree import Plain, core
from labctl.lab.yaml12 import MAX_BYTES, MAX_VALUES, core_value, parse_yaml


def value_of(text: str) -> object:
    tree, faults = parse_yaml(f"x: {text}\n".encode(), "test")
    assert tree is not None
    assert not faults
    return tree.data()["x"]


@pytest.mark.parametrize("word", ["on", "off", "no", "yes", "On", "NO", "y", "n"])
def test_words_that_yaml_1_1_took_for_truth_are_texts(word: str) -> None:
    assert value_of(word) == word
    assert not isinstance(value_of(word), Plain)


def test_a_mac_address_is_no_number_to_the_base_60() -> None:
    assert value_of("52:54:00:12:34:56") == "52:54:00:12:34:56"
    assert core(value_of("52:54:00:12:34:56")) == "52:54:00:12:34:56"


def test_a_pair_of_ports_is_no_number_to_the_base_60() -> None:
    assert core(value_of("2222:22")) == "2222:22"


def test_010_is_typed_010_and_counts_as_ten() -> None:
    assert value_of("010") == "010"
    assert core(value_of("010")) == 10


def test_1_10_is_typed_1_10_and_counts_as_one_and_a_tenth() -> None:
    assert value_of("1.10") == "1.10"
    assert core(value_of("1.10")) == 1.1


@pytest.mark.parametrize("word", ["1_000", "0b11", "0o8", "2026-11-24", "12:30:45", "1e", "+", "-", ".", "1.2.3.4", "=", "<<", "0x", "_1"])
def test_what_no_core_rule_takes_is_a_text(word: str) -> None:
    assert core_value(word) == word


@pytest.mark.parametrize(
    ("word", "value"),
    [("0", 0), ("-7", -7), ("+7", 7), ("0o17", 15), ("0x1F", 31), ("1.5", 1.5), ("-.5", -0.5), ("1e3", 1000.0), ("6.", 6.0)],
)
def test_numbers_are_read_by_the_core_rules(word: str, value: float) -> None:
    assert core_value(word) == value
    assert type(core_value(word)) is type(value)


@pytest.mark.parametrize("word", ["true", "True", "TRUE"])
def test_there_are_three_ways_to_write_true(word: str) -> None:
    assert core_value(word) is True


@pytest.mark.parametrize("word", ["null", "Null", "NULL", "~", ""])
def test_there_are_five_ways_to_write_nothing(word: str) -> None:
    assert core_value(word) is None


def test_quotes_make_a_text_of_everything() -> None:
    for quoted in ("'10'", '"10"', "'true'", '"null"', "!!str 10", "! 10"):
        assert not isinstance(value_of(quoted), Plain)
        assert isinstance(value_of(quoted), str)


def test_keys_are_texts_as_typed() -> None:
    tree, faults = parse_yaml(b"{on: a, 80: b, 010: c, 1.10: d, true: e, null: f, ~: g}", "test")
    assert tree is not None
    assert not faults
    assert list(tree.data()) == ["on", "80", "010", "1.10", "true", "null", "~"]


def test_a_float_that_says_less_than_was_typed_is_not_lossless() -> None:
    lossless = {text: Plain(text, value).lossless for text, value in (("10", 10), ("010", 10), ("1.10", 1.1), ("1.1", 1.1), ("TRUE", True))}
    assert lossless == {"10": True, "010": False, "1.10": False, "1.1": True, "TRUE": True}


def test_aliases_are_written_out_and_keep_the_place_of_their_anchor() -> None:
    tree, faults = parse_yaml(b"a: &x {k: v}\nb: *x\n", "test")
    assert tree is not None
    assert not faults
    assert tree.data() == {"a": {"k": "v"}, "b": {"k": "v"}}
    assert tree.value_spot(("b", "k")) == (1, 11)
    assert tree.key_spot(("b", "k")) == (1, 8)


def test_a_path_through_a_range_and_through_what_is_not_written_finds_its_place() -> None:
    tree, _ = parse_yaml(b"do:\n  r1..r3: ls\n", "test")
    assert tree is not None
    assert tree.key_spot(("do", 0, "OnNodes", "commands", "r2", "RunCommand", "run")) == (2, 3)
    assert tree.value_spot(("do", 0, "OnNodes", "commands", "r2")) == (2, 11)


def test_a_byte_order_mark_is_passed_over() -> None:
    tree, faults = parse_yaml(b"\xef\xbb\xbfname: x\n", "test")
    assert tree is not None
    assert not faults
    assert tree.data() == {"name": "x"}


def test_a_file_that_is_too_large_is_not_read() -> None:
    tree, faults = parse_yaml(b"#" * (MAX_BYTES + 1), "test")
    assert tree is None
    assert "1,048,577 bytes" in faults[0].what


def test_a_list_that_is_too_long_is_not_read_to_its_end() -> None:
    tree, faults = parse_yaml(b"x: [" + b"a," * (MAX_VALUES + 1) + b"]", "test")
    assert tree is None
    assert faults[0].what == "too many values"
