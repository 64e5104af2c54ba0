"""A lab in memory that fits `engine/under_test.LabUnderTest`: three hosts on a switch that learns, floods, is broken and is put right.

A small simulation, not a recording: pings pass or do not pass as cables, power and the switch's settings say, captures are real pcap
files with the frames that passed, and what a command prints follows the state.
"""

import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from labctl.engine.under_test import PowerState
from labctl.errors import AgentError, CommandError, TimedOut
from labctl.guest.agent import Completed
from labctl.lab.impairments import ImpairmentKeys, impairment_of
from labctl.lab.model import Check, Observation, Text
from labctl.lab.roles import Role, RoleFile
from labctl.lab.topology import End, Interface, Lab, Link, Node
from tests.unit.check.captures import ECHO_REPLY, ping_frame, write_pcap

HOSTS = ("pc1", "pc2", "pc3")
PROBE = re.compile(r"ping (\S+) 0 \S+ ([0-9.]+) >(/run/labctl-probe-\w+)")
BOUNDED = re.compile(r"timeout -k 2 (\S+) (sh -c .*) </dev/null", re.DOTALL)


def text(words: str) -> Text:
    return Text(en=words)


def check(id: str, **keys: Any) -> Check:
    """A check in the words of a lab file."""
    return Check.model_validate({"id": id, "says": id, **keys})


def address(host: str) -> str:
    return f"192.168.1.1{host[-1]}"


def mac(host: str) -> str:
    return f"52:54:00:00:00:1{host[-1]}"


def switch_lab(*checks: Check, ready: tuple[Observation, ...] = ()) -> Lab:
    """pc1, pc2, pc3 on port1, port2, port3 of sw1; port4 is free."""
    hosts = [_node(name, number, [_port("eth1", mac(name), address(name))], {}) for number, name in enumerate(HOSTS)]
    ports = [_port(f"port{number}", f"52:54:00:00:01:0{number}") for number in (1, 2, 3, 4)]
    nodes = (*hosts, _node("sw1", 3, ports, {"learning": True, "broken": False}))
    links = tuple(Link(End(name, "eth1"), End("sw1", f"port{name[-1]}")) for name in HOSTS)
    place = Path("/nonexistent")
    return Lab(
        name="switch",
        variant="default",
        variants=("default", "other"),
        title=text("a switch"),
        summary=text(""),
        topics=(),
        minutes=5,
        directory=place,
        file=place / "lab.yaml",
        nodes=nodes,
        links=links,
        ready=ready,
        checks=checks,
        digest="0",
    )


def _port(name: str, mac: str, address: str | None = None) -> Interface:
    return Interface(name, mac, (ip_interface(f"{address}/24"),) if address else (), {"isolated": False})


def _node(name: str, index: int, ports: list[Interface], settings: Mapping[str, Any]) -> Node:
    role = Role("any", Path("/nonexistent"), RoleFile(title=text("any"), kind="host"), {})
    return Node(name, index, role, 256, 1, tuple(ports), None, (), (), (), (), False, False, settings)


@dataclass
class World:
    """What can change: the switch's settings, cables, power, files of nodes, what runs in the background."""

    learning: bool = True
    broken: bool = False
    table: set[str] = field(default_factory=set)
    off: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    lossy: set[str] = field(default_factory=set)
    at: dict[str, str] = field(default_factory=lambda: {f"{host}:eth1": f"sw1:port{host[-1]}" for host in HOSTS})
    files: dict[str, set[str]] = field(default_factory=dict)


@dataclass
class Probing:
    """A probe that runs in a node of the simulation, and what it printed."""

    node: str
    target: str
    every_s: float
    next_s: float
    number: int = 0
    lines: list[str] = field(default_factory=list)


class FakeLab:
    """The simulation behind the room's door. `log` tells what was asked of it besides commands, in order."""

    def __init__(self, lab: Lab, directory: Path, *, captures_start: bool = True) -> None:
        self.lab = lab
        self.accelerator = "none"
        self.time_scale = 0.02
        self.world = World()
        self.log: list[str] = []
        self.background: dict[str, str] = {}
        self.heals_by_parts = True
        self.resets_quickly = False
        self._as_written = lab
        self._directory = directory
        self._captures_start = captures_start
        self._open: dict[End, list[bytes]] = {}
        self._count = 0
        self._probes: dict[str, Probing] = {}

    # --- the door ---

    def run_on(self, node: str, script: str, *, timeout_s: float) -> Completed:
        if node in self.world.off:
            raise AgentError(f"{node}: the agent does not answer")
        if script.startswith("cat /proc/uptime"):
            return self._poll(script)
        if script.startswith("rm -f /run/labctl-probe"):
            return Completed(0, b"", b"")
        if "systemd-run" in script:
            return self._start(node, script)
        if "systemctl stop" in script:
            return self._stop(node, script)
        bounded = BOUNDED.fullmatch(script)
        assert bounded is not None, f"no deadline in the node: {script}"
        return self._command(node, shlex.split(bounded[2])[2], float(bounded[1]), timeout_s)

    @contextmanager
    def capture(self, ends: Sequence[End]) -> Iterator[Mapping[End, Path]]:
        if not self._captures_start:
            raise CommandError(f"the capture on {ends[0]} did not start", why="no such device")
        self._open = {end: [] for end in ends}
        self._count += 1
        files = {end: self._directory / f"{self._count}-{end.node}-{end.interface}.pcap" for end in ends}
        try:
            yield files
        finally:
            for end, file in files.items():
                write_pcap(file, self._open[end])
            self._open = {}

    def set_settings(self, node: str, changes: Mapping[str, Any]) -> None:
        self.log.append(f"set {node} {dict(changes)}")
        self.world = replace(self.world, **changes)
        nodes = (replace(one, settings={**one.settings, **changes}) if one.name == node else one for one in self.lab.nodes)
        self.lab = replace(self.lab, nodes=tuple(nodes))

    def cut(self, end: End) -> None:
        self._advance()
        self.log.append(f"cut {end}")
        self.world.cut.add(self._cable(end))

    def restore(self, end: End) -> None:
        self._advance()
        self.log.append(f"restore {end}")
        self.world.cut.discard(self._cable(end))

    def move(self, end: End, to: End) -> None:
        self.log.append(f"move {end} -> {to}")
        self.world.at[str(end)] = str(to)

    def impair(self, end: End, changes: ImpairmentKeys, *, one_way: bool) -> None:
        self._advance()
        self.log.append(f"impair {end} {impairment_of(changes)}{' one way' if one_way else ''}")
        self.world.lossy.add(self._cable(end))

    def clear(self, end: End) -> None:
        self._advance()
        self.log.append(f"clear {end}")
        self.world.lossy.discard(self._cable(end))

    def power(self, node: str, state: PowerState) -> None:
        self._advance()
        self.log.append(f"power {node} {state}")
        (self.world.off.add if state == "off" else self.world.off.discard)(node)

    def reset(self, nodes: Sequence[str]) -> None:
        self.log.append(f"reset {' '.join(nodes) or 'all'}")
        if not nodes:
            self.world = World()
            self.lab = self._as_written
        elif self.heals_by_parts:
            self.world.off -= set(nodes)
            for node in nodes:
                self.world.files.pop(node, None)
            if "sw1" in nodes:
                self.world = replace(self.world, learning=True, broken=False, table=set())

    # --- the machines ---

    def _command(self, node: str, command: str, deadline_s: float, timeout_s: float) -> Completed:
        if command == "hang":
            if timeout_s < deadline_s:
                raise TimedOut(f"{node}: the command did not end within {timeout_s:g} s")
            time.sleep(deadline_s)
            return Completed(124, b"", b"")
        word, _, rest = command.partition(" ")
        known: dict[str, Callable[[str, str], Completed]] = {
            "ping": self._ping, "table": self._table, "switch": self._switch, "echo": self._echo,
            "touch": self._touch, "remove": self._remove, "have": self._have, "true": self._true, "false": self._false,
        }  # fmt: skip
        if word not in known:
            return Completed(127, b"", f"sh: 1: {word}: not found\n".encode())
        return known[word](node, rest)

    def _ping(self, node: str, rest: str) -> Completed:
        target, count = next(host for host in HOSTS if address(host) in rest.split()), int(rest.split()[rest.split().index("-c") + 1])
        if not self._passes(node) or not self._passes(target):
            return Completed(1, b"3 packets transmitted, 0 received, 100% packet loss, time 3ms\n", b"")
        for number in range(1, count + 1):
            for one, other, kind in ((node, target, 8), (target, node, ECHO_REPLY)):
                self._seen(one, other, ping_frame((mac(one), address(one)), (mac(other), address(other)), number, kind))
        return Completed(0, f"{count} packets transmitted, {count} received\n".encode(), b"")

    def _seen(self, source: str, target: str, frame: bytes) -> None:
        if self.world.learning:
            self.world.table.add(mac(source))
        heard = HOSTS if not self.world.learning else (source, target)
        for host in heard:
            for end in (f"{host}:eth1", self.world.at[f"{host}:eth1"]):
                self._open.get(self.lab.end(end), []).append(frame)

    def _passes(self, host: str) -> bool:
        world = self.world
        return not world.broken and not {host, "sw1"} & world.off and f"{host}:eth1" not in world.cut | world.lossy

    def _table(self, node: str, rest: str) -> Completed:
        rows = sorted(self.world.table)
        return Completed(0, "".join(f"{row}\n" for row in rows).encode(), b"")

    def _switch(self, node: str, rest: str) -> Completed:
        what, _, value = rest.partition(" ")
        if what == "flush":
            self.world.table.clear()
        else:
            setattr(self.world, what, value == "on")
        return Completed(0, b"", b"")

    def _echo(self, node: str, rest: str) -> Completed:
        return Completed(0, f"{rest}\n".encode(), b"")

    def _touch(self, node: str, rest: str) -> Completed:
        self.world.files.setdefault(node, set()).add(rest)
        return Completed(0, b"", b"")

    def _remove(self, node: str, rest: str) -> Completed:
        self.world.files.get(node, set()).discard(rest)
        return Completed(0, b"", b"")

    def _have(self, node: str, rest: str) -> Completed:
        return Completed(0 if rest in self.world.files.get(node, set()) else 1, b"", b"")

    def _true(self, node: str, rest: str) -> Completed:
        return Completed(0, b"", b"")

    def _false(self, node: str, rest: str) -> Completed:
        return Completed(1, b"", b"")

    def _start(self, node: str, script: str) -> Completed:
        unit = re.search(r"--unit=(\S+)", script)
        assert unit is not None
        self.background[unit[1]] = node
        self.log.append(f"start on {node}")
        if (probe := PROBE.search(script)) is not None:
            target = next(host for host in HOSTS if address(host) == probe[1])
            self._probes[probe[3]] = Probing(node, target, float(probe[2]), time.monotonic())
        return Completed(0, b"", b"")

    # --- probes: each sends on time, and is answered if its way is whole at that time ---

    def _advance(self) -> None:
        now = time.monotonic()
        for probe in self._probes.values():
            while probe.next_s <= now:
                probe.lines.append(f"s {probe.number} {probe.next_s:.6f}")
                if self._passes(probe.node) and self._passes(probe.target):
                    probe.lines.append(f"a {probe.number} {probe.next_s + 0.001:.6f}")
                probe.number += 1
                probe.next_s += probe.every_s

    def _poll(self, script: str) -> Completed:
        self._advance()
        place, file = re.fullmatch(r"cat /proc/uptime; tail -c \+(\d+) (\S+)", script).groups()  # type: ignore[union-attr]
        text = "".join(f"{line}\n" for line in self._probes[file].lines)
        return Completed(0, f"{time.monotonic():.2f} 1.00\n{text[int(place) - 1 :]}".encode(), b"")

    def _stop(self, node: str, script: str) -> Completed:
        unit = re.search(r"systemctl stop (\S+)\.service", script)
        assert unit is not None
        assert self.background.pop(unit[1]) == node
        self.log.append(f"stop on {node}")
        return Completed(0, b"", b"")

    def _cable(self, end: End) -> str:
        name = str(end)
        return next(host for host, far in self.world.at.items() if name in (host, far))
