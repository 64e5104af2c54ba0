"""YAML by the core rules of version 1.2 (yaml.org/spec/1.2.2, §10.3), with the place of every key and value kept.

A scalar keeps the text that was typed: a field for text gets `1.10`, `on` or `52:54:00:12:34:56` back as they stand, a field for a
number or a truth value gets the core rules' value (see Plain). PyYAML gives the events only; its YAML 1.1 types never touch them.

Owns limits on size, depth and growth by aliases. What the keys mean is `lab/model.py`'s.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from labctl.errors import Fault
from labctl.lab.tree import Plain, Scalar, Tree
from labctl.lab.words import is_range

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_VALUES = 50_000  # aliases expanded; a lab of 500 nodes has some 6,000

_BAD_CHARACTER = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INT = re.compile(r"[-+]?[0-9]{1,40}|0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_HINTS = (
    ("cannot start any token", "indent with spaces, not tabs; put a text that begins with %, @ or ` in quotes"),
    ("mapping values are not allowed", "put a text that holds `: ` in quotes"),
    ("did not find expected alphabetic", "put a text that begins with * or & in quotes"),
    ("did not find expected key", "look at the indentation, and at the quotes of the line above"),
    ("unexpected end of stream", "a quote or a bracket is not closed"),
    ("undefined alias", "put a text that begins with * in quotes"),
)


class Refused(Exception):
    """The text cannot be read on: nothing after this fault can be trusted."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.what)
        self.fault = fault


def parse_yaml(content: bytes, file: str) -> tuple[Tree | None, list[Fault]]:
    """The tree of `content` and the faults found on the way; no tree where it could not be read to its end."""
    try:
        composer = _Composer(_text_of(content, file), file)
        return composer.document(), composer.faults
    except Refused as refused:
        return None, [refused.fault]
    except yaml.MarkedYAMLError as error:
        return None, [_syntax_fault(error, file)]


def core_value(text: str) -> str | int | float | bool | None:
    """What the core rules make of a plain scalar: `010` is 10, `on` is the text "on", `1.10` is 1.1."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _text_of(content: bytes, file: str) -> str:
    if len(content) > MAX_BYTES:
        raise Refused(Fault(file, 0, 0, f"the file has {len(content):,} bytes", f"at most {MAX_BYTES:,} are read"))
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line, column = _place(content[: error.start].decode("utf-8"), error.start)
        raise Refused(Fault(file, line, column, f"byte {content[error.start]:#04x} is not UTF-8", "lab files are UTF-8")) from error
    if bad := _BAD_CHARACTER.search(text):
        line, column = _place(text, bad.start())
        raise Refused(Fault(file, line, column, f"control character U+{ord(bad[0]):04X}", "YAML does not allow it"))
    return text


def _place(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _syntax_fault(error: yaml.MarkedYAMLError, file: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    problem = str(error.problem or error.context or error)
    hint = next((hint for sign, hint in _HINTS if sign in problem), "")
    place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    return Fault(file, *place, "this is not YAML", problem, hint)


class _Composer:
    """Builds the tree from the parser's events, counting as it goes."""

    def __init__(self, text: str, file: str) -> None:
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self.events: Iterator[Any] = iter(yaml.parse(text, Loader=loader))
        self.file = file
        self.faults: list[Fault] = []
        self.anchors: dict[str, Tree | None] = {}
        self.count = 0

    def document(self) -> Tree | None:
        next(self.events)  # start of the stream
        if isinstance(next(self.events), yaml.StreamEndEvent):
            self.faults.append(Fault(self.file, 0, 0, "the file is empty", "", "`labctl new NAME` writes a lab to begin with"))
            return None
        root = self.tree(next(self.events), 0)
        next(self.events)  # end of the document
        if not isinstance(after := next(self.events), yaml.StreamEndEvent):
            self.note(after, "a second document begins here", "a lab file is one document")
        if not isinstance(root.value, dict):
            self.faults.append(self.fault(root, "the file holds no mapping", "at the top stand keys like `name:` and `nodes:`"))
            return None
        return root

    def tree(self, event: Any, depth: int) -> Tree:
        if depth > MAX_DEPTH:
            raise Refused(self.fault(_spot(event), "nested too deeply", f"at most {MAX_DEPTH} levels"))
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, depth)
        self.counted(event, 1)
        anchor = event.anchor
        if anchor is not None:
            self.anchors[anchor] = None  # not finished: an alias in here would hold itself
        made = self.made(event, depth)
        if anchor is not None:
            self.anchors[anchor] = made
        return made

    def made(self, event: Any, depth: int) -> Tree:
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event)
        if event.tag is not None:
            self.note(event, f"tag `{event.tag}`", "a lab file is plain data without tags")
        return self.mapping(event, depth) if isinstance(event, yaml.MappingStartEvent) else self.sequence(event, depth)

    def mapping(self, start: Any, depth: int) -> Tree:
        here = _spot(start, {})
        assert isinstance(here.value, dict)
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key, mark = self.key(event, depth + 1), _spot(event)
            value = self.tree(next(self.events), depth + 1)
            if key is None:
                continue  # told already; the rest is still read
            if key in here.value:
                first = here.keys[key][0]
                self.faults.append(self.fault(mark, f"key `{key}` stands here a second time", f"first in line {first}"))
                continue
            here.value[key] = value
            here.ranged = here.ranged or is_range(key)
            here.keys[key] = (mark.line, mark.column)
        return here

    def key(self, event: Any, depth: int) -> str | None:
        tree = self.tree(event, depth)
        if isinstance(tree.value, str):
            return str(tree.value)
        if tree.value is None and isinstance(event, yaml.ScalarEvent) and event.value:
            return str(event.value)  # `null:` and `~:` as typed
        self.faults.append(self.fault(tree, "this key is no simple word", "a key is a text", "put a key with [ { or : in quotes"))
        return None

    def sequence(self, start: Any, depth: int) -> Tree:
        items: list[Tree] = []
        here = _spot(start, items)
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.tree(event, depth + 1))
        return here

    def scalar(self, event: Any) -> Tree:
        text: str = event.value
        if bad := _BAD_CHARACTER.search(text):
            self.note(event, f"control character U+{ord(bad[0]):04X}, written as an escape", "texts of a lab hold none")
            text = _BAD_CHARACTER.sub("\ufffd", text)
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            self.note(event, f"tag `{event.tag}`", "a lab file is plain data without tags", "put a text that begins with ! in quotes")
        value: Scalar = text
        if event.implicit[0] and event.tag is None:
            core = core_value(text)
            value = core if core is None or isinstance(core, str) else Plain(text, core)
        return _spot(event, value)

    def alias(self, event: Any, depth: int) -> Tree:
        tree = self.anchors.get(event.anchor, _MISSING)
        if tree is _MISSING:
            raise Refused(self.fault(_spot(event), f"no anchor `&{event.anchor}`", "", "put a text that begins with * in quotes"))
        if tree is None:
            raise Refused(self.fault(_spot(event), f"`*{event.anchor}` stands inside itself", "it would never end"))
        self.counted(event, tree.size)
        if depth + tree.depth > MAX_DEPTH:
            raise Refused(self.fault(_spot(event), "nested too deeply", f"at most {MAX_DEPTH} levels, aliases written out"))
        return tree.copy()

    def counted(self, event: Any, more: int) -> None:
        self.count += more
        if self.count > MAX_VALUES:
            raise Refused(self.fault(_spot(event), "too many values", f"at most {MAX_VALUES:,}, aliases written out"))

    def fault(self, tree: Tree, what: str, why: str = "", hint: str = "") -> Fault:
        return Fault(self.file, tree.line, tree.column, what, why, hint)

    def note(self, event: Any, what: str, why: str = "", hint: str = "") -> None:
        self.faults.append(self.fault(_spot(event), what, why, hint))


_MISSING = Tree(None, 0, 0)


def _spot(event: Any, value: Any = None) -> Tree:
    return Tree(value, event.start_mark.line + 1, event.start_mark.column + 1)
