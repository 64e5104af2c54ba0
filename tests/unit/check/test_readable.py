from labctl.check.readable import last_line, one_line, readable


def test_terminal_escapes_become_harmless_pictures() -> None:
    assert readable(b"\x1b]0;evil\x07\x1b[31mred\x1b[0m") == "␛]0;evil␇␛[31mred␛[0m"
    assert readable("\x9b31m\x7f") == "\\u009b31m␡"


def test_text_that_reads_backwards_is_spelt_out() -> None:
    assert readable("pay\u202eload") == "pay\\u202eload"


def test_lines_and_tabs_stay() -> None:
    assert readable("a\tb\r\nc\n\n") == "a\tb\nc"


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert readable(b"\xff\xfeok") == "\ufffd\ufffdok"


def test_a_long_text_is_cut_in_the_middle() -> None:
    shown = readable("x" * 5000 + "end", longest=90)
    assert len(shown) < 100
    assert shown.endswith("end")


def test_one_line_joins_lines() -> None:
    assert one_line("a\n\n b\n") == "a ⏎ b"
    assert last_line("first\nthe reason\n") == "the reason"
    assert last_line(b"") == ""
