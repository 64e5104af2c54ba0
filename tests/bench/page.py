"""The page docs/performance.md and the tables on the screen, from samples. Pure: the same samples give the same text.

Owns the words around the figures; `remarks.md` beside it holds what people found out about figures that are not reached.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path

from tests.bench.figures import FIGURES, PAIRS, SIZES, WAYS, Figure, growth, memory
from tests.bench.samples import LABCTL, VAGRANT, Samples, spread

REMARKS = Path(__file__).with_name("remarks.md")
HOW = """\
Each time is that of a whole process, from its start to its end, as a person waits for it. A known lab is one that came up on this machine
before; a new one is not, but its warm images are there. The labs are hosts of 256 MiB on switches (`tests/bench/labs.py`).
"""
VAGRANT_HOW = """\
Both sides on one machine. Vagrant has a box made from labctl's base image, with the same kernel and initrd, started directly; a libvirtd
of its own in a network namespace; its default parallelism; no shared folders, no key to replace, its box in libvirt's pool already.
Its machines are bare; labctl's are cabled, addressed and ready, their secrets renewed.
"""
NOT_RUN = "Not run.\n"
NO_VAGRANT = "Vagrant was not run. `make bench-vagrant` installs it and runs both sides.\n"
CI_NOT_RUN = """\
Not run. `make bench-empty` runs `prove --all` with an empty cache; it takes as long as all labs do, with `LABS='hub napt'` as long as
those do.
"""
BUSY_CORES = 0.2  # of what else runs; above it the page says so
CI_ROWS = (
    ("ci-empty", "empty"),
    ("ci-brought", "with the cache of another machine"),
)


def render_page(samples: Samples, *, drawn: bool) -> str:
    """All of docs/performance.md."""
    parts = [
        "# Performance\n\nWritten by `make bench`, which does the same on your machine; `make bench-vagrant` measures both sides.\n",
        _table(("", ""), sorted(samples.about.items())),
        busy_note(samples),
        "## Commands\n\n" + HOW,
        commands_table(samples),
        "## Against Vagrant\n\n" + (VAGRANT_HOW if samples.values.get(VAGRANT) else NO_VAGRANT),
        vagrant_table(samples),
        "## Growth\n\n`up`, by number of nodes; medians.\n",
        "![up against number of nodes](images/up-by-nodes.svg)\n" if drawn else "",
        growth_table(samples) or NOT_RUN,
        "## Memory\n\nPSS of a lab's machines as `status` gives it, idle, started from its checkpoint. Without libvirtd's own.\n",
        memory_table(samples) or NOT_RUN,
        "## Phases of `up`\n\n`up --timings`, longest first; two nodes are started at a time, so phases overlap.\n",
        *(f"{name[0].upper()}{name[1:]}:\n\n```text\n{text.rstrip()}\n```\n" for name, text in sorted(samples.texts.items())),
        "## A CI runner that starts empty\n",
        runner_table(samples) or CI_NOT_RUN,
        "## Goals that were not reached\n",
        missed_list(samples),
        REMARKS.read_text() if REMARKS.exists() else "",
    ]
    return "\n".join(part for part in parts if part)


def render_tables(samples: Samples) -> str:
    """What `make bench` prints."""
    parts = (
        "\n".join(f"{name}: {value}" for name, value in sorted(samples.about.items())) + "\n",
        busy_note(samples),
        commands_table(samples),
        vagrant_table(samples) or NO_VAGRANT,
        growth_table(samples),
        memory_table(samples),
        "Goals that were not reached:\n" + missed_list(samples),
    )
    return "\n".join(part for part in parts if part)


def busy_note(samples: Samples) -> str:
    """A warning, if something else ran on the machine."""
    busy = {part: cores for part, cores in samples.busy.items() if cores >= BUSY_CORES}
    if not busy:
        return ""
    parts = ", ".join(f"{part} {cores:.1f}" for part, cores in busy.items())
    return (
        "**Something else ran on this machine.** Cores at work in the two seconds before these parts began, when none should be: "
        f"{parts}. Their figures are not those of an idle machine.\n"
    )


def commands_table(samples: Samples) -> str:
    rows = [_command_row(figure, samples.of(LABCTL, figure.name)) for figure in FIGURES]
    return _table(("command", "goal", "median", "range", "runs", "reached"), rows)


def _command_row(figure: Figure, values: Sequence[float]) -> tuple[str, ...]:
    goal = "–" if figure.goal_s is None else f"≤ {figure.goal_s:g} s"
    if not values:
        return (figure.what, goal, "not run", "", "0", "")
    median = statistics.median(values)
    reached = "" if figure.goal_s is None else "yes" if round(median, 2) <= figure.goal_s else "**no**"
    return (figure.what, goal, f"{median:.2f} s", spread(values), str(len(values)), reached)


def vagrant_table(samples: Samples) -> str:
    """Work that was measured on both sides; empty if none was."""
    rows = []
    for pair in PAIRS:
        ours, theirs = samples.of(LABCTL, pair.labctl), samples.of(VAGRANT, pair.vagrant)
        if ours and theirs:
            ratio = statistics.median(theirs) / statistics.median(ours)
            rows.append((pair.what, _with_range(ours), _with_range(theirs), f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"))
    return _table(("work", "labctl", "Vagrant", "times less"), rows) if rows else ""


def _with_range(values: Sequence[float]) -> str:
    digits = 1 if min(values) >= 10 else 2
    return f"{statistics.median(values):.{digits}f} s ({spread(values, digits)}; {len(values)})"


def growth_table(samples: Samples) -> str:
    rows = []
    for nodes in SIZES:
        medians = [samples.median(LABCTL, growth(way, nodes)) for way in WAYS]
        if any(median is not None for median in medians):
            rows.append((str(nodes), *(_seconds(median) for median in medians), *(_per_node(samples, way, nodes) for way in WAYS[:2])))
    heads = ("nodes", *WAYS, *(f"{way}: each further node" for way in WAYS[:2]))
    return _table(heads, rows) if rows else ""


def _seconds(value: float | None) -> str:
    return "not run" if value is None else f"{value:.2f} s"


def _per_node(samples: Samples, way: str, nodes: int) -> str:
    """Seconds for each node more than in the next smaller lab."""
    smaller = max((size for size in SIZES if size < nodes and samples.of(LABCTL, growth(way, size))), default=0)
    here, there = samples.median(LABCTL, growth(way, nodes)), samples.median(LABCTL, growth(way, smaller))
    return "–" if here is None or there is None else f"{(here - there) / (nodes - smaller):.2f} s"


def memory_table(samples: Samples) -> str:
    rows: list[tuple[str, ...]] = []
    before: tuple[int, float] | None = None
    for nodes in SIZES:
        total = samples.median(LABCTL, memory(nodes))
        if total is not None:
            further = "–" if before is None else f"{(total - before[1]) / (nodes - before[0]):.0f} MiB"
            rows.append((str(nodes), f"{total:.0f} MiB", further))
            before = (nodes, total)
    return _table(("nodes", "the lab", "each further node"), rows) if rows else ""


def runner_table(samples: Samples) -> str:
    names = ("wall", "ram", "disk", "downloaded")
    rows = []
    for figure, what in CI_ROWS:
        values = [samples.median(LABCTL, f"{figure}-{name}") for name in names]
        if any(value is not None for value in values):
            units = ("s", "MiB", "MiB", "MB")
            found = ("not run" if value is None else f"{value:.0f} {unit}" for value, unit in zip(values, units, strict=True))
            rows.append((what, *found))
        else:
            rows.append((what, *("not run" for _ in names)))
    heads = ("cache", "wall time", "peak memory", "disk", "downloaded")
    return _table(heads, rows) if any("not run" not in row for row in rows) else ""


def missed_list(samples: Samples) -> str:
    lines = []
    for figure in FIGURES:
        median = samples.median(LABCTL, figure.name)
        if median is not None and figure.goal_s is not None and round(median, 2) > figure.goal_s:
            lines.append(f"- {figure.what}: {median:.2f} s instead of {figure.goal_s:g} s.")
    lines += [f"- The part `{part}` failed: {why.splitlines()[0] if why else 'no reason given'}" for part, why in samples.failed.items()]
    if not_run := [figure.what for figure in FIGURES if not samples.of(LABCTL, figure.name)]:
        lines.append(f"- Not run: {'; '.join(not_run)}.")
    return "\n".join(lines) + "\n" if lines else "None.\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
