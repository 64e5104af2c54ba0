"""From `lab.yaml` to a Lab: reads, validates, resolves. All faults of the file come in one run, each with its line and column.

Owns the order of the steps, and how a lab is found by the word a user types. The steps: `yaml12` (text → tree), `loops` (links that
stand for many), `read_model` (tree → model), `draft_nodes`, `draft_links`, `draft_interfaces` (model → parts), `segments` and
`check_rules` (what they mean together).
"""

from pathlib import Path

from labctl.errors import Fault, LoadError, UsageError
from labctl.lab import data
from labctl.lab.check_rules import read_checks, read_ready
from labctl.lab.digest import with_digest
from labctl.lab.draft_interfaces import draft_gateway, draft_interfaces, draft_routes
from labctl.lab.draft_links import DraftLink, draft_links
from labctl.lab.draft_nodes import DraftNode, apply_variants, draft_nodes
from labctl.lab.faults import Faults, load_error, shown
from labctl.lab.load_role import load_role, role_names
from labctl.lab.loops import write_out_loops
from labctl.lab.model import LabFile, LinkEntry, NodeEntry
from labctl.lab.read_model import read_model
from labctl.lab.scenario_rules import read_scenarios
from labctl.lab.segments import segments_of
from labctl.lab.topology import End, Interface, Lab, Link, Node, UnpackedTree
from labctl.lab.tree import Path as TreePath
from labctl.lab.tree import Tree
from labctl.lab.uplink import GATEWAY, LAST_PORT, uplink_interface
from labctl.lab.words import meant
from labctl.lab.yaml12 import MAX_BYTES, parse_yaml

__all__ = ["LAB_FILE", "find_lab", "load_lab", "load_role", "role_names", "shipped_labs"]

LAB_FILE = "lab.yaml"
NO_NAME, NO_TITLE = "unnamed", ""


def shipped_labs() -> tuple[Path, ...]:
    """The lab files that travel with labctl, by name."""
    return tuple(sorted(data.LABS.glob(f"*/{LAB_FILE}")))


def find_lab(word: str) -> Path:
    """The lab file that `word` means: a shipped lab's name, a directory or a file. UsageError where there is none."""
    shipped = {path.parent.name: path for path in shipped_labs()}
    if word in shipped:
        return shipped[word]
    try:
        path = Path(word).expanduser()
        directory = path if word and path.is_dir() else None
        if directory is not None:
            path = directory / LAB_FILE
        if word and path.is_file():
            return path
    except (OSError, ValueError, RuntimeError):
        directory = None  # too long, with a NUL, or of an unknown user: no file
    files = directory.glob("[!.]*.y*ml") if directory is not None else ()
    others = sorted(file for file in files if file.is_file() and file.name != LAB_FILE)
    if others:
        hint = f"a lab file may have another name, if it is named whole: {others[0]}"
        raise UsageError(f"no lab `{word}`", why=f"the directory has no {LAB_FILE}", hint=hint)
    hint = meant(word, shipped) if shipped else ""
    raise UsageError(f"no lab `{word}`", why="no shipped lab, directory or file of that name", hint=hint)


def word_for(file: Path) -> str:
    """The word by which `find_lab` finds this file from here: a shipped lab's name, else its directory."""
    shipped = {one.resolve(): one.parent.name for one in shipped_labs()}
    return shipped.get(file.resolve()) or shown(file.parent)


def load_lab(file: Path, *, variant: str = "default") -> Lab:
    """The lab in `file`, in one of its variants. LoadError with every fault; UsageError for a variant that it does not have."""
    faults = read_file(file)
    write_out_loops(faults)
    keys = _node_keys(faults.tree)
    model = read_model(LabFile, faults, _stand_ins())
    if model is None or not keys:
        raise load_error(faults.file, faults.all)
    _note_empty(faults.tree, (), faults)
    lab = _resolve(model, keys, file, variant, faults)
    faults.raise_any()
    if variant not in lab.variants:
        raise UsageError(f"lab {lab.name} has no variant `{variant}`", hint=meant(variant, lab.variants))
    return with_digest(lab)


def read_file(file: Path) -> Faults:
    """The tree of a YAML file with the faults found so far; LoadError where it cannot be read at all."""
    name = shown(file)
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise LoadError(f"{name} cannot be read", why=error.strerror or str(error), faults=(Fault(name, 0, 0, "cannot be read"),)) from None
    tree, found = parse_yaml(content, name)
    if tree is None:
        raise load_error(name, found)
    faults = Faults(name, tree)
    faults.take(found)
    return faults


def _node_keys(tree: Tree) -> list[str]:
    found = tree.child("nodes")
    return list(found[1].value) if found and isinstance(found[1].value, dict) else []


def _note_empty(tree: Tree, path: TreePath, faults: Faults) -> None:
    """A key without a value means nothing, not even the default. Settings are the roles' own affair."""
    if isinstance(tree.value, dict):
        for key, child in tree.value.items():
            if _is_ours((*path, key)):
                _note_empty(child, (*path, key), faults)
    elif isinstance(tree.value, list):
        for number, child in enumerate(tree.value):
            _note_empty(child, (*path, number), faults)
    elif tree.value is None:
        faults.add(path, f"`{path[-1]}` has no value", "", "leave the key out, or write the text in quotes")


def _is_ours(path: TreePath) -> bool:
    if path[0] in ("nodes", "links") and len(path) == 3:
        return path[2] in (NodeEntry if path[0] == "nodes" else LinkEntry).model_fields
    return path[0] != "variants" and path[-1] not in ("set", "json")


def _stand_ins() -> dict[str, Tree]:
    """What takes the place of keys without which no model can be: their lack is a fault already."""
    role = Tree({"x": Tree("host", 0, 0)}, 0, 0)
    return {"name": Tree(NO_NAME, 0, 0), "title": Tree({"en": Tree(NO_TITLE, 0, 0)}, 0, 0), "nodes": role}


def _resolve(model: LabFile, keys: list[str], file: Path, variant: str, faults: Faults) -> Lab:
    directory = file.absolute().parent
    nodes = draft_nodes(model, keys, directory, faults)
    apply_variants(model, nodes, variant, faults)
    links = draft_links(model, nodes, faults)
    interfaces = draft_interfaces(model, nodes, links, faults)
    made = tuple(_node(model.name, node, interfaces[node.name], faults) for node in nodes.values())
    _check_segments(links, interfaces, nodes, faults)
    variants = ("default", *model.variants)
    return Lab(
        name=model.name,
        variant=variant,
        variants=variants,
        title=model.title,
        summary=model.summary,
        topics=model.topics,
        minutes=model.minutes,
        directory=directory,
        file=file.absolute(),
        nodes=tuple(node for node in made if node),
        links=tuple(Link(link.a, link.b) for link in links),
        ready=read_ready(model, nodes, interfaces, faults),
        checks=read_checks(model, nodes, interfaces, links, faults),
        digest="",
        scenarios=read_scenarios(model, nodes, interfaces, links, faults),
    )


def _node(lab: str, node: DraftNode, interfaces: tuple[Interface, ...], faults: Faults) -> Node | None:
    gateway, routes = draft_gateway(node, interfaces, faults), draft_routes(node, interfaces, faults)
    if node.entry and node.entry.uplink:
        if sum(port.mac is not None for port in interfaces) > LAST_PORT:
            faults.add((*node.path, "uplink"), f"{node.name} has no network card left for an uplink", f"at most {LAST_PORT} beside it")
        interfaces, gateway = (*interfaces, uplink_interface(lab, node.index)), gateway or GATEWAY
    if faults.all or node.entry is None or node.role is None:
        return None  # the lab is refused at the end of the run
    return Node(
        name=node.name,
        index=node.index,
        role=node.role,
        memory_mib=node.memory_mib,
        cpus=node.cpus,
        interfaces=interfaces,
        gateway=gateway,
        routes=routes,
        packages=node.entry.packages,
        files=node.files,
        run=node.entry.run,
        uplink=node.entry.uplink,
        ipv6=node.entry.ipv6,
        settings=node.settings,
        unpack=tuple(UnpackedTree(place, tree.architecture, tree.packages) for place, tree in sorted(node.entry.unpack.items())),
    )


def _check_segments(
    links: list[DraftLink], interfaces: dict[str, tuple[Interface, ...]], nodes: dict[str, DraftNode], faults: Faults
) -> None:
    """The same address twice on what one broadcast reaches."""
    roles = {name: node.role for name, node in nodes.items()}
    by_end = {End(node, port.name): port for node, ports in interfaces.items() for port in ports}
    for segment in segments_of([(link.a, link.b) for link in links], interfaces, roles):
        seen: dict[object, End] = {}
        for end in segment:
            for number, address in enumerate(by_end[end].addresses):
                other = seen.setdefault(address.ip, end)
                if other != end:
                    faults.add(
                        ("addresses", end.node, end.interface, number), f"{address.ip} stands twice on one segment", f"{other} has it"
                    )
