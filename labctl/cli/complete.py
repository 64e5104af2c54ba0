"""Names for the shell's completion. Quick and silent: directories and instance records are read, no lab file is."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from labctl.engine.instances import InstanceRecord

FORMS = ("term", "svg", "mermaid", "dot")


def labs(incomplete: str) -> list[str]:
    """Names of shipped labs. The shell itself completes directories."""
    from labctl.lab.data import LABS

    return sorted(file.parent.name for file in LABS.glob("*/lab.yaml") if file.parent.name.startswith(incomplete))


def topics(incomplete: str) -> list[str]:
    """Anchors of the source that shipped labs name, read without a parser."""
    from labctl.lab.data import LABS

    lines = [
        line for file in LABS.glob("*/lab.yaml") for line in file.read_text(errors="replace").splitlines() if line.startswith("topics:")
    ]
    found = {word.strip(" []") for line in lines for word in line.partition(":")[2].split(",")}
    return sorted(topic for topic in found if topic.startswith(incomplete))


def instances(incomplete: str) -> list[str]:
    return [record.id for record in _records() if record.id.startswith(incomplete)]


def nodes(context: typer.Context, incomplete: str) -> list[str]:
    """Node names of the chosen instance, or of all; in `pc1,pc2` and `pc1:/etc` the last word counts."""
    done, comma, last = incomplete.rpartition(",")
    return [done + comma + name for name in _node_names(context) if name.startswith(last)]


def instances_and_nodes(context: typer.Context, incomplete: str) -> list[str]:
    return [*instances(incomplete), *nodes(context, incomplete)]


def ends(context: typer.Context, incomplete: str) -> list[str]:
    """`pc1:eth1` of the chosen instance."""
    found = [f"{node.name}:{port.name}" for record in _chosen(context) for node in record.nodes for port in node.ports]
    return [end for end in dict.fromkeys(found) if end.startswith(incomplete)]


def places(context: typer.Context, incomplete: str) -> list[str]:
    """`pc1:` for cp."""
    return [f"{name}:" for name in _node_names(context) if f"{name}:".startswith(incomplete)]


def scenarios(context: typer.Context, incomplete: str) -> list[str]:
    """Scenarios of the chosen instance's lab: the keys below `scenarios:`, read without a parser."""
    names = [name for record in _chosen(context) for name in _names_below(record.file, "scenarios")]
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def _names_below(file: str, key: str) -> list[str]:
    from pathlib import Path

    try:
        return _block_names(Path(file).read_text(errors="replace"), key)
    except OSError:
        return []


def variants(context: typer.Context, incomplete: str) -> list[str]:
    """Variants of the shipped lab on the command line: the keys below `variants:`, read without a parser."""
    from labctl.lab.data import LABS

    words = [str(context.params.get("lab")), *context.args]  # behind an option that wants its value nothing is parsed yet
    file = next((file for word in words if "/" not in word and (file := LABS / word / "lab.yaml").is_file()), None)
    names = ["default", *(_block_names(file.read_text(errors="replace"), "variants") if file else ())]
    return [name for name in names if name.startswith(incomplete)]


def _block_names(text: str, key: str) -> list[str]:
    block = text.partition(f"\n{key}:")[2].splitlines()[1:]
    end = next((place for place, line in enumerate(block) if line and not line.startswith((" ", "#"))), len(block))
    return [line.strip().partition(":")[0] for line in block[:end] if line.startswith("  ") and line[2:3] not in (" ", "#", "")]


def languages(incomplete: str) -> list[str]:
    from labctl.cli.reader import LANGUAGES

    return [language for language in LANGUAGES if language.startswith(incomplete)]


def forms(incomplete: str) -> list[str]:
    """Of a picture; those of engine/graph.Form, which a test holds together."""
    return [form for form in FORMS if form.startswith(incomplete)]


def _records() -> "tuple[InstanceRecord, ...]":
    from labctl.engine.instances import list_instances

    try:
        return list_instances()
    except OSError:
        return ()


def _chosen(context: typer.Context) -> "tuple[InstanceRecord, ...]":
    named = context.params.get("instance")
    return tuple(record for record in _records() if named in (None, record.id))


def _node_names(context: typer.Context) -> list[str]:
    return list(dict.fromkeys(node.name for record in _chosen(context) for node in record.nodes))
