"""The figures that are measured, with their goals: the one list that the sides, the table on the screen and the page share.

Owns names, words and goals (issue "A second, not minutes"; two cores, emulation). Growth has its own names, made from kind and number.
"""

from dataclasses import dataclass

SIZES = (1, 2, 4, 10, 20, 30)
COLD_SIZES = (1, 2, 4)
WAYS = ("checkpoint", "clone", "cold")


@dataclass(frozen=True)
class Figure:
    """What is measured on labctl's side. `goal_s` None: there is no goal."""

    name: str
    what: str
    goal_s: float | None


FIGURES = (
    Figure("help", "`labctl --help`", 0.15),
    Figure("up-known-1", "`up` of a known lab, 1 node", 0.9),
    Figure("up-known-4", "`up` of a known lab, 4 nodes", 1.4),
    Figure("up-known-10", "`up` of a known lab, 10 nodes", 4.0),
    Figure("up-new-4", "`up` of a new lab, 4 nodes, warm images there, its checkpoint saved", 4.0),
    Figure("up-nothing-4", "`up`, nothing changed, 4 nodes", 0.4),
    Figure("status-4", "`status`, 4 nodes", 0.2),
    Figure("exec", "`exec pc1 true`", 0.3),
    Figure("ssh-first", "`ssh pc1 true`, first connection", 0.8),
    Figure("ssh-shared", "`ssh pc1 true`, connection shared", 0.8),
    Figure("reset-4", "`reset`, 4 nodes", 1.5),
    Figure("goto-4", "`checkpoint goto`, 4 nodes", 1.5),
    Figure("down-4", "`down`, 4 nodes", 0.5),
    Figure("down-10", "`down`, 10 nodes", 0.5),
    Figure("up-cold-1", "`up --start cold`, 1 node: a whole boot", 10.0),
)


@dataclass(frozen=True)
class Pair:
    """The same work on both sides; names are figures of each."""

    what: str
    labctl: str
    vagrant: str


PAIRS = (
    Pair("`up`, 1 machine", "up-known-1", "up-1"),
    Pair("`up`, 1 machine, labctl by a cold boot too", "up-cold-1", "up-1"),
    Pair("`up`, 4 machines; labctl: a known lab", "up-known-4", "up-4"),
    Pair("`up`, 4 machines; labctl: a new lab, its checkpoint saved", "up-new-4", "up-4"),
    Pair("`up`, nothing changed, 4 machines", "up-nothing-4", "up-nothing-4"),
    Pair("`status`, 4 machines", "status-4", "status-4"),
    Pair("`ssh` and `true`; labctl: first connection", "ssh-first", "ssh"),
    Pair("`ssh` and `true`; labctl: connection shared", "ssh-shared", "ssh"),
    Pair("`down` / `destroy`, 4 machines", "down-4", "destroy-4"),
)


def growth(way: str, nodes: int) -> str:
    """The figure of an `up` of `nodes` nodes, started this way."""
    return f"growth-{way}-{nodes}"


def memory(nodes: int) -> str:
    """The figure of a lab's memory, MiB."""
    return f"memory-{nodes}"
