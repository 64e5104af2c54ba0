"""Where a Japanese line may end, and that nothing of it shows in the result."""

import pytest

from labctl.cli.markdown import MARK, with_marks


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("スイッチ", "ス|イッ|チ"),
        ("見る。次に", "見|る。|次|に"),
        ("「表」を", "「表」|を"),
        ("br0 を見る", "br0 を|見|る"),
        ("plain English", "plain English"),
        ("`ip -br addr 見る`を見る", "`ip -br addr 見る`を|見|る"),
        ("**太字**です", "**太|字**で|す"),
    ],
)
def test_a_line_ends_where_japanese_lines_end(text: str, marked: str) -> None:
    assert with_marks(text) == marked.replace("|", MARK)


def test_lines_of_a_japanese_paragraph_are_joined_without_a_blank() -> None:
    assert with_marks("一つ\n二つ\n").replace(MARK, "") == "一つ二つ\n"
    assert with_marks("- 一つ\n  二つ\n").replace(MARK, "") == "- 一つ二つ\n"


@pytest.mark.parametrize("text", ["一つ\n- 二つ\n", "一つ\n\n二つ\n", "| 一 |\n| 二 |\n", "# 一\n二\n", "one\ntwo\n", "```\n一\n二\n```\n"])
def test_other_lines_stay_lines(text: str) -> None:
    assert with_marks(text).replace(MARK, "") == text


def test_code_is_left_alone() -> None:
    assert with_marks("```\n日本語\n```\n") == "```\n日本語\n```\n"
