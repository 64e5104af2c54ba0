"""The faults of one file, gathered while it is read: each knows its place, all are told together.

Owns the order (that of the file) and the one LoadError at the end. What is a fault is said by those who add them.
"""

import re
from pathlib import Path

from labctl.errors import Fault, LoadError
from labctl.lab.tree import Path as TreePath
from labctl.lab.tree import Tree


class Faults:
    """Gathers; `file` is how the file is called in messages, `tree` where paths lead."""

    def __init__(self, file: str, tree: Tree) -> None:
        self.file = file
        self.tree = tree
        self.all: list[Fault] = []

    def add(self, path: TreePath, what: str, why: str = "", hint: str = "", *, key: bool = False) -> None:
        """A fault at the value of `path`, or at its last key."""
        spot = self.tree.key_spot(path) if key else self.tree.value_spot(path)
        self.all.append(Fault(self.file, spot.line, spot.column, *(_one_line(text) for text in (what, why, hint))))

    def take(self, others: tuple[Fault, ...] | list[Fault]) -> None:
        self.all.extend(others)

    def raise_any(self) -> None:
        if self.all:
            raise load_error(self.file, self.all)


def _one_line(text: str) -> str:
    """A text of the file may hold line ends; a message does not."""
    return re.sub(r"[\n\r\t]", "⏎", text)


def load_error(file: str, faults: list[Fault]) -> LoadError:
    """One error for all faults, told once each, in the order of the file; the first speaks for the rest."""
    ordered = sorted(dict.fromkeys(faults), key=lambda fault: (fault.file != file, fault.file, fault.line, fault.column))
    first = ordered[0]
    count = "1 fault" if len(ordered) == 1 else f"{len(ordered)} faults"
    why = f"line {first.line}: {first.what}" if first.line else first.what
    return LoadError(f"{file}: {count}", why=f"{why}: {first.why}" if first.why else why, hint=first.hint, faults=tuple(ordered))


def shown(file: Path) -> str:
    """How a file is called in messages: from here where it lies below, else by its full path."""
    full = file.absolute()
    here = Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(full)
