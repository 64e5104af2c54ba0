"""Words of a lab file that are more than themselves: node ranges (`pc1..pc3`), words that are taken, and what was probably meant.

Pure; knows nothing of files or models.
"""

import difflib
import re
from collections.abc import Iterable

MAX_RANGE = 1024
ACTION_NAMES = ("set", "cut", "restore", "move", "power", "start", "run", "impair", "clear", "commands")
SABOTAGE_NAMES = ("actions", "do", "undo", "says", "kills_all")
MACHINE_NAMES = ("all", "default", "lo", "localhost", "mgmt")  # the kernel's, the resolver's and labctl's own
RESERVED = frozenset((*ACTION_NAMES, *SABOTAGE_NAMES, *MACHINE_NAMES))
_RANGE = re.compile(r"([a-z][a-z0-9-]*?)([0-9]{1,4})\.\.([a-z][a-z0-9-]*?)([0-9]{1,4})")


def is_range(word: str) -> bool:
    return ".." in word


def expand(word: str) -> tuple[str, ...]:
    """The names that `word` stands for: `pc1..pc3` → pc1, pc2, pc3; a plain name is itself. ValueError says what is wrong."""
    if not is_range(word):
        return (word,)
    parts = _RANGE.fullmatch(word)
    if not parts or parts[1] != parts[3]:
        raise ValueError(f"`{word}` is no range of nodes; one is written like pc1..pc3")
    first, last, width = int(parts[2]), int(parts[4]), len(parts[2]) if parts[2].startswith("0") else 0
    if last < first:
        raise ValueError(f"`{word}` runs backwards")
    if last - first >= MAX_RANGE:
        raise ValueError(f"`{word}` stands for {last - first + 1} nodes; at most {MAX_RANGE}")
    return tuple(f"{parts[1]}{number:0{width}d}" for number in range(first, last + 1))


def covers(word: str, name: str) -> bool:
    """Whether the range `word` holds `name`."""
    parts = _RANGE.fullmatch(word)
    if parts is None or not name.startswith(parts[1]):
        return False
    try:
        return name in expand(word)
    except ValueError:
        return False


def close(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` where something like `word` is known, else nothing."""
    names = list(dict.fromkeys(known))
    part = [name for name in names if len(word) > 2 and len(name) > 2 and (word in name or name in word)]
    found = difflib.get_close_matches(word, names, n=1, cutoff=0.65) or _by_part(word, names) or part[:1]
    return f"did you mean `{found[0]}`?" if found else ""


def meant(word: str, known: Iterable[str]) -> str:
    """The same, or the list of what is known."""
    names = list(dict.fromkeys(known))
    return close(word, names) or ("known: " + listed(names) if names else "")


def _by_part(word: str, names: list[str]) -> list[str]:
    """`swich` is like the second part of `l2-switch`."""
    parts = {part: name for name in reversed(names) for part in name.split("-") if len(part) > 2}
    return [parts[part] for part in difflib.get_close_matches(word, parts, n=1, cutoff=0.7)]


def quoted(value: object) -> str:
    """A value as a message shows it: short, on one line."""
    if value is None or value == "":
        return "empty"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    text = str(value)
    return f"`{text}`" if len(text) <= 60 else f"`{text[:50]}…` ({len(text)} characters)"


def listed(names: Iterable[str], most: int = 12) -> str:
    all_names = list(names)
    shown = ", ".join(all_names[:most])
    return shown + (f" … ({len(all_names)} in all)" if len(all_names) > most else "")


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Key that sorts eth2 before eth10."""
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"([0-9]+)", name) if part)
