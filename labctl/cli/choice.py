"""What the words of a verb mean: `labctl down`, `down l2-switch`, `down pc1 pc2`, `verify l2-switch CHECK`, `--instance second pc1`.

Owns that one rule: a first word that names a running lab or instance, or is a path to its lab, chooses it; the others are nodes (or
checks) of it. A word that could be either is refused, since what follows may destroy.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from labctl.errors import UsageError

if TYPE_CHECKING:
    from labctl.engine.instances import InstanceRecord


def choose(words: Sequence[str] | None, instance: str | None) -> "tuple[InstanceRecord, tuple[str, ...]]":
    """The instance that is meant, and the words that are left. `UsageError` for an instance that is not there."""
    from labctl.engine.instances import find_instance, is_of, list_instances

    first = words[0] if words and instance is None else ""
    records = list_instances() if first else ()
    if first and ("/" in first or first.startswith(".") or any(is_of(record, first) for record in records)):
        return find_instance(first, None), tuple(words or ())[1:]
    if len(records) > 1:
        ids = ", ".join(record.id for record in records)
        raise UsageError(f"which lab is meant with '{first}'?", why=f"several are up: {ids}", hint="name one first, or say --instance NAME")
    return find_instance(None, instance), tuple(words or ())


def choose_nodes(words: Sequence[str] | None, instance: str | None) -> "tuple[InstanceRecord, tuple[str, ...]]":
    """The instance that is meant, and the nodes, each once; `pc1,pc2` is two. No word means all of it, an empty one is refused."""
    record, rest = choose(words, instance)
    taken = (words or ())[: len(words or ()) - len(rest)]
    if taken and any(node.name == taken[0] for node in record.nodes):
        raise UsageError(
            f"'{taken[0]}' is a lab and a node of it",
            why="which one is meant decides what is lost",
            hint=f"--instance {record.id} for the lab, --instance {record.id} {taken[0]} for the node",
        )
    return record, record.named_nodes(rest) if rest else ()
