"""Renders a lab's templates: those of its roles, the scripts among them that end in .j2, and the lab's own `files`.

Owns what a template may name (`context_of`) and what is said when one is wrong. The rendering itself is a child's, with limits of time
and memory (`guest/render_child.py`, design §7); all of a lab goes to one child. Starting it is the caller's, by the door below.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from labctl.errors import Fault, StepError
from labctl.lab import data
from labctl.lab.faults import load_error, shown
from labctl.lab.topology import Interface, Lab, Node, Route

RENDER_S = 5.0  # CPU time for all templates of a lab
RENDER_MEMORY = 192 * 1024 * 1024  # bytes beyond what the child needs to start
TEXT_LIMIT = 1024 * 1024  # characters of one rendered file
PATIENCE_S = 120.0  # until a child that gets no CPU is given up
CHILD = Path(__file__).with_name("render_child.py")
READY = "(ready)"  # role.yaml's command, a template of one line
WHY = {
    "syntax": "not Jinja2",
    "undefined": "a template must not read what is not there",
    "settings": "the role can make nothing of these settings",
    "refused": "templates are rendered in a sandbox",
    "missing": "a template includes files of its role and of _shared only",
    "time": f"all templates of a lab together have {RENDER_S:g} s",
    "memory": f"all templates of a lab together have {RENDER_MEMORY >> 20} MiB",
    "size": "a file of a node is short",
    "other": "",
}


class Ended(Protocol):
    """How a program ended."""

    @property
    def status(self) -> int: ...
    @property
    def stdout(self) -> bytes: ...
    @property
    def stderr(self) -> bytes: ...


class RunProgram(Protocol):
    """Runs a program to its end; `host/run.run` fits."""

    def __call__(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = ..., check: bool = ...) -> Ended: ...


@dataclass(frozen=True)
class RenderedFile:
    """A file as it will lie in the node."""

    path: str
    content: str
    mode: int


@dataclass(frozen=True)
class RenderedNode:
    """All rendered texts of a node. `apply` and `ready` are empty where the role has none."""

    files: tuple[RenderedFile, ...]
    apply: str = ""
    ready: str = ""


@dataclass(frozen=True)
class Job:
    """One template for one node."""

    source: int
    template: str
    node: str


def render_lab(lab: Lab, run: RunProgram, nodes: Sequence[Node] | None = None) -> Mapping[str, RenderedNode]:
    """Node name → its texts, for all nodes or for `nodes`. `LoadError` holds every fault of the templates, with file and line."""
    chosen = lab.nodes if nodes is None else tuple(nodes)
    sources, jobs = plan_rendering(lab, chosen)
    request = {
        "lab": context_of(lab),
        "sources": sources,
        "jobs": [[job.source, job.template, job.node] for job in jobs],
        "seconds": RENDER_S,
        "memory": RENDER_MEMORY,
        "text_limit": TEXT_LIMIT,
    }
    argv = (sys.executable, "-E", "-P", str(CHILD))
    ended = run(argv, timeout_s=PATIENCE_S, stdin=json.dumps(request).encode(), check=False)
    texts = read_answer(lab, jobs, ended)
    return {node.name: _rendered_node(node, texts) for node in chosen}


def plan_rendering(lab: Lab, nodes: Sequence[Node]) -> tuple[list[Mapping[str, Mapping[str, str]]], tuple[Job, ...]]:
    """The sources (what a template may include, and how its files are called in messages) and the jobs, in the order of nodes."""
    sources: list[Mapping[str, Mapping[str, str]]] = []
    known: dict[str, int] = {}
    jobs: list[Job] = []
    for node in nodes:
        role = node.role
        if (key := str(role.directory)) not in known:
            known[key] = len(sources)
            sources.append(_source_of_role(node))
        jobs += [Job(known[key], name, node.name) for name in _templates_of(node)]
        for file in (file for file in node.files if file.template):
            jobs.append(Job(len(sources), file.path, node.name))
            paths = {file.path: f"{shown(lab.file)} ({file.path} of {node.name})"}
            sources.append({"texts": {file.path: file.content.decode("utf-8", errors="replace")}, "paths": paths})
    return sources, tuple(jobs)


def _templates_of(node: Node) -> tuple[str, ...]:
    file = node.role.file
    apply = (file.apply,) if file.apply is not None and file.apply.endswith(".j2") else ()
    return (*(entry.template for entry in file.templates), *apply, *((READY,) if file.ready else ()))


def _source_of_role(node: Node) -> Mapping[str, Mapping[str, str]]:
    role = node.role
    texts = {**role.texts, READY: role.file.ready or ""}
    paths = {name: shown(_place_of(role.directory, name)) for name in role.texts}
    return {"texts": texts, "paths": {**paths, READY: f"{shown(role.directory / 'role.yaml')} (ready)"}}


def _place_of(directory: Path, name: str) -> Path:
    return data.ROLES / name if name.startswith("_shared/") else directory / name


def read_answer(lab: Lab, jobs: Sequence[Job], ended: Ended) -> Mapping[Job, str]:
    """The texts that the child rendered. `LoadError` for faults of templates, `StepError` for a child that broke."""
    if ended.status in (-9, -24):  # SIGKILL, SIGXCPU: the kernel's own limit, for a step that the child could not interrupt
        raise load_error(shown(lab.file), [Fault(shown(lab.file), 0, 0, "its templates take too long to render", WHY["time"])])
    if ended.status != 0:
        raise StepError("templates cannot be rendered", why=ended.stderr.decode(errors="replace").strip()[-500:])
    answer = json.loads(ended.stdout)
    if answer["faults"]:
        once = {(entry["file"], entry["line"], entry["what"]): entry for entry in reversed(answer["faults"])}  # the first node's
        faults = [_fault(entry) for entry in once.values()]
        raise load_error(answer["faults"][0]["file"], faults)
    return dict(zip(jobs, answer["texts"], strict=True))


def _fault(entry: Mapping[str, Any]) -> Fault:
    file, line, what = entry["file"], entry["line"], entry["what"]
    if " (" in file and line:  # a file within a file: its lines are not those of the one around it
        line, what = 0, f"line {line}: {what}"
    return Fault(file, line, 1 if line else 0, what, WHY[entry["kind"]], f"seen when it was rendered for node {entry['node']}")


def _rendered_node(node: Node, texts: Mapping[Job, str]) -> RenderedNode:
    by_name = {job.template: text for job, text in texts.items() if job.node == node.name}
    role = node.role.file
    files = [RenderedFile(entry.path, by_name[entry.template], int(entry.mode, 8)) for entry in role.templates]
    files += [RenderedFile(file.path, by_name[file.path], file.mode) for file in node.files if file.template]
    apply = "" if role.apply is None else by_name.get(role.apply, node.role.texts.get(role.apply, ""))
    return RenderedNode(tuple(files), apply, by_name.get(READY, ""))


# --- what a template may name ----------------------------------------------------------------------------------------------


def context_of(lab: Lab) -> dict[str, Any]:
    """The lab as templates see it: names, numbers, lists; addresses as text."""
    peers = {str(end): str(other) for link in lab.links for end, other in (link.ends, link.ends[::-1])}
    return {"name": lab.name, "nodes": [_node_context(node, peers) for node in lab.nodes]}


def _node_context(node: Node, peers: Mapping[str, str]) -> dict[str, Any]:
    routes = [_route_context(route) for route in node.routes]
    gateway = str(node.gateway) if node.gateway is not None else ""
    return {
        "name": node.name,
        "index": node.index,
        "role": node.role.name,
        "gateway": gateway,
        "routes": routes,
        "ipv6": node.ipv6,
        "settings": dict(node.settings),
        "interfaces": [_interface_context(node, port, peers.get(f"{node.name}:{port.name}", "")) for port in node.interfaces],
    }


def _interface_context(node: Node, port: Interface, peer: str) -> dict[str, Any]:
    """`gateway` and `routes` of an interface are those of the node that leave by it."""
    here = [route for route in node.routes if _leaves_by(node, route.via) is port]
    return {
        "name": port.name,
        "mac": port.mac or "",
        "addresses": [str(address) for address in port.addresses],
        "settings": dict(port.settings),
        "peer": peer,
        "gateway": str(node.gateway) if node.gateway is not None and _leaves_by(node, node.gateway) is port else "",
        "routes": [_route_context(route) for route in here],
    }


def _route_context(route: Route) -> dict[str, Any]:
    return {"to": route.to, "via": str(route.via), "metric": route.metric}


def _leaves_by(node: Node, via: Any) -> Interface | None:
    """The interface whose network `via` is in. In none: the last with an address, where the node itself will refuse the route."""
    addressed = [port for port in node.interfaces if port.addresses and port.name != "lo"]
    fitting = [port for port in addressed if any(via in address.network for address in port.addresses)]
    return next(iter(fitting or addressed[-1:]), None)
