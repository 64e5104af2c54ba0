"""A file's data with the place of every key and value: what `lab/yaml12.py` reads and every fault points into.

Owns Plain (a scalar that is more than its text), Tree, and the way from the path of a fault to its line and column.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from labctl.lab.words import covers

Path = tuple[str | int, ...]


class Plain(str):
    """A number or truth value as typed, without quotes. It is its text; `value` is what YAML's core rules make of it.

    `lossless` tells whether the value still says all that was typed: 10 does, 010 and 1.10 do not.
    """

    value: int | float | bool

    def __new__(cls, text: str, value: int | float | bool) -> "Plain":
        self = super().__new__(cls, text)
        self.value = value
        return self

    @property
    def lossless(self) -> bool:
        return isinstance(self.value, bool) or repr(self.value) == str(self)


Scalar = str | None


class Spot(NamedTuple):
    """A place in a file, both counted from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Tree:
    """A value and where it stands; `keys` holds the places of a mapping's keys."""

    value: "Scalar | dict[str, Tree] | list[Tree]"
    line: int
    column: int
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    damaged: bool = False  # something wrong was taken out of it
    ranged: bool = False  # some key is a range

    @property
    def children(self) -> "Iterable[Tree]":
        if isinstance(self.value, dict):
            return self.value.values()
        return self.value if isinstance(self.value, list) else ()

    @property
    def size(self) -> int:
        return 1 + sum(child.size for child in self.children)

    @property
    def depth(self) -> int:
        return max((1 + child.depth for child in self.children), default=0)

    def copy(self) -> "Tree":
        if isinstance(self.value, dict):
            children = {key: child.copy() for key, child in self.value.items()}
            return Tree(children, self.line, self.column, dict(self.keys), ranged=self.ranged)
        if isinstance(self.value, list):
            return Tree([child.copy() for child in self.value], self.line, self.column)
        return self

    def data(self) -> Any:
        """The value as dicts, lists, str, Plain and None."""
        if isinstance(self.value, dict):
            return {key: child.data() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.data() for child in self.value]
        return self.value

    def child(self, step: str | int) -> "tuple[str | int, Tree] | None":
        """The child that `step` names, by its own key or by a range that covers it (`r2` by `r1..r4`)."""
        if isinstance(self.value, list):
            return (step, self.value[step]) if isinstance(step, int) and step < len(self.value) else None
        if not isinstance(self.value, dict):
            return None
        key = str(step)
        if key not in self.value and self.ranged:
            key = next((other for other in self.value if covers(other, key)), "")
        return (key, self.value[key]) if key in self.value else None

    def found(self, path: Path) -> Path:
        """The part of `path` that is written in the file: steps that only the long form has are left out."""
        here, found = self, []
        for step in path:
            if down := here.child(step):
                found.append(down[0])
                here = down[1]
        return tuple(found)

    def at(self, path: Path) -> "Tree":
        here = self
        for step in self.found(path):
            down = here.child(step)
            assert down is not None
            here = down[1]
        return here

    def value_spot(self, path: Path) -> Spot:
        here = self.at(path)
        return Spot(here.line, here.column)

    def key_spot(self, path: Path) -> Spot:
        """Where the last key of `path` stands; of an item of a list, where the item does."""
        found = self.found(path)
        if not found:
            return Spot(self.line, self.column)
        parent = self.at(found[:-1])
        return Spot(*parent.keys[str(found[-1])]) if isinstance(parent.value, dict) else self.value_spot(found)

    def remove(self, path: Path) -> None:
        """Takes out what `path` names, if it is there."""
        if not path:
            return
        parent = self.at(path[:-1])
        if isinstance(parent.value, dict):
            parent.value.pop(str(path[-1]), None)
        elif isinstance(parent.value, list) and isinstance(path[-1], int) and path[-1] < len(parent.value):
            del parent.value[path[-1]]


def core(data: Any) -> Any:
    """`data` with every Plain turned into its value by the core rules."""
    if isinstance(data, Plain):
        return data.value
    if isinstance(data, Mapping):
        return {str(key): core(value) for key, value in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return [core(value) for value in data]
    return data
