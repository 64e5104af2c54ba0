"""`each:` of a link: one entry that stands for many, written out before anything else is read. Also a link's own `addresses`.

    each: {row: 1..4, column: 1..4}
    ends: r{row}{column}:eth1 -- r{row}{column+1}:eth2

Works on the tree: every copy keeps the line and column of the entry, so that messages lead there and an editor's schema sees plain YAML.
Owns what may stand between braces: a name of `each`, with a number added to it or taken off. No template language.
"""

import itertools
import re
from collections.abc import Iterator, Mapping

from labctl.lab.faults import Faults
from labctl.lab.tree import Path, Plain, Tree
from labctl.lab.words import MAX_RANGE, meant, quoted

EACH, ADDRESSES, ENDS = "each", "addresses", "ends"
MOST_LINKS = 8192
_BRACES = re.compile(r"\{([^{}]*)\}")
_TERM = re.compile(r"([a-z]+)(?:([+-])([0-9]{1,4}))?")
_NUMBERS = re.compile(r"([0-9]{1,4})\.\.([0-9]{1,4})")
_NAME = re.compile(r"[a-z]+")


class _Wrong(Exception):
    """Why braces stand for nothing."""


def write_out_loops(faults: Faults) -> None:
    """Links with `each` become as many as they stand for; addresses of links go to the table of addresses. Adds faults."""
    found = faults.tree.child("links")
    if not found or not isinstance(found[1].value, list):
        return
    written: list[Tree] = []
    for number, entry in enumerate(found[1].value):
        written += _written_out(entry, ("links", number), faults)
        if len(written) > MOST_LINKS:
            faults.add(("links", number), f"more than {MOST_LINKS} links, written out", "a lab has at most that many")
            written, found[1].damaged = [], True
            break
    found[1].damaged = found[1].damaged or any(_has(entry, EACH) for entry in written)
    found[1].value = written
    for number, link in enumerate(written):
        _move_addresses(link, ("links", number), faults)


def _has(entry: Tree, key: str) -> bool:
    return isinstance(entry.value, dict) and key in entry.value


# --- each -------------------------------------------------------------------------------------------------------------------


def _written_out(entry: Tree, path: Path, faults: Faults) -> Iterator[Tree]:
    """The links that an entry stands for; none where it is wrong about that, and the fault is told once."""
    if not isinstance(entry.value, dict) or EACH not in entry.value:
        yield entry
        return
    ranges = _ranges(entry.value[EACH], (*path, EACH), faults)
    plain = Tree({key: child for key, child in entry.value.items() if key != EACH}, entry.line, entry.column, dict(entry.keys))
    told = len(faults.all)
    for numbers in itertools.product(*ranges.values()) if ranges else ():
        link = _filled(plain, dict(zip(ranges, numbers, strict=True)), path, faults)
        if len(faults.all) > told:
            return
        yield link


def _ranges(each: Tree, path: Path, faults: Faults) -> dict[str, range]:
    """`{row: 1..4}` → numbers by name; empty, with faults, where something is wrong."""
    if not isinstance(each.value, dict) or not each.value:
        faults.add(path, f"`each` is {quoted(each.data())}", "names and the numbers they run through are wanted: {row: 1..4}")
        return {}
    made, told = {}, len(faults.all)
    for name, child in each.value.items():
        numbers = _NUMBERS.fullmatch(str(child.value)) if isinstance(child.value, str) else None
        if not _NAME.fullmatch(name):
            faults.add((*path, name), f"`{name}` is no name for a number", "a name is lower-case letters", key=True)
        elif numbers is None or int(numbers[2]) < int(numbers[1]):
            faults.add((*path, name), f"`{name}` runs through {quoted(child.data())}", "numbers are written like 1..4, the smaller first")
        else:
            made[name] = range(int(numbers[1]), int(numbers[2]) + 1)
    count = 1
    for numbers_of in made.values():
        count *= len(numbers_of)
    if count > MAX_RANGE:
        faults.add(path, f"`each` stands for {count} links", f"at most {MAX_RANGE}")
    return made if len(faults.all) == told else {}


def _filled(tree: Tree, numbers: Mapping[str, int], path: Path, faults: Faults) -> Tree:
    """A copy with every pair of braces in its texts replaced; keys stay."""
    if isinstance(tree.value, dict):
        children = {key: _filled(child, numbers, (*path, key), faults) for key, child in tree.value.items()}
        return Tree(children, tree.line, tree.column, dict(tree.keys), ranged=tree.ranged)
    if isinstance(tree.value, list):
        return Tree([_filled(child, numbers, (*path, place), faults) for place, child in enumerate(tree.value)], tree.line, tree.column)
    if not isinstance(tree.value, str) or "{" not in tree.value:
        return tree
    try:
        return Tree(_replaced(tree.value, numbers), tree.line, tree.column)
    except _Wrong as wrong:
        faults.add(path, f"`{tree.value[:60]}`: {wrong}", "", f"between braces: {', '.join(numbers)}, or one of them + or - a number")
        return tree


def _replaced(text: str, numbers: Mapping[str, int]) -> str:
    whole = _BRACES.fullmatch(text)
    if whole:  # nothing but a number: what it stands for may be a number too, such as a cost
        value = _value(whole[1], numbers)
        return Plain(str(value), value)
    return _BRACES.sub(lambda braces: str(_value(braces[1], numbers)), text)


def _value(term: str, numbers: Mapping[str, int]) -> int:
    parts = _TERM.fullmatch(term.replace(" ", ""))
    if parts is None:
        raise _Wrong(f"`{{{term}}}` is nothing that is counted")
    if parts[1] not in numbers:
        raise _Wrong(f"`each` names no `{parts[1]}`; {meant(parts[1], numbers)}")
    change = int(parts[3] or 0)
    value = numbers[parts[1]] + (-change if parts[2] == "-" else change)
    if value < 0:
        raise _Wrong(f"`{{{term}}}` becomes {value}")
    return value


# --- addresses of a link ----------------------------------------------------------------------------------------------------


def _move_addresses(link: Tree, path: Path, faults: Faults) -> None:
    """`addresses: [one end's, the other's]` of a link, into the table of all addresses, places kept."""
    if not _has(link, ADDRESSES) or not _has(link, ENDS):
        return
    assert isinstance(link.value, dict)
    given, ends = link.value[ADDRESSES], link.value[ENDS]
    parts = str(ends.value).split(" -- ") if isinstance(ends.value, str) else []
    if not isinstance(given.value, list) or len(given.value) != 2:
        faults.add((*path, ADDRESSES), "`addresses` of a link are two", "one for each of its ends, in their order")
    elif len(parts) == 2 and all(":" in part for part in parts):
        for part, address in zip(parts, given.value, strict=True):
            _enter(faults.tree, part.strip(), address)
    del link.value[ADDRESSES]
    link.keys.pop(ADDRESSES, None)


def _enter(top: Tree, end: str, address: Tree) -> None:
    node, _, interface = end.partition(":")
    table = _inner(top, ADDRESSES, address)
    of_node = _inner(table, node, address) if table else None
    if of_node is None or not isinstance(of_node.value, dict):
        return  # `addresses` is something else there, which is told elsewhere
    already = of_node.value.get(interface)
    if already is None:
        of_node.value[interface] = Tree([address], address.line, address.column)
        of_node.keys[interface] = (address.line, address.column)
    elif isinstance(already.value, list):
        already.value.append(address)
    else:
        of_node.value[interface] = Tree([already, address], already.line, already.column)


def _inner(parent: Tree, key: str, place: Tree) -> Tree | None:
    """The mapping under `key`, made where there is none."""
    if not isinstance(parent.value, dict):
        return None
    if key not in parent.value:
        parent.value[key] = Tree({}, place.line, place.column)
        parent.keys[key] = (place.line, place.column)
    inner = parent.value[key]
    return inner if isinstance(inner.value, dict) else None
