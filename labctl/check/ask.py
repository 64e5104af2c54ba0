"""What to run in which node for an observation: shell scripts, made without running anything.

Owns the very commands behind `run`, `reach`, `route` and `path`; `check/judge.py` reads what they print. An observation of a wire or of
`do`'s output asks no node. Waits follow `time_scale`, how much slower than KVM the machines are; whatever a lab file names is quoted.
"""

import math
import shlex
from dataclasses import dataclass

from labctl.lab.model import NeighbourSeen, Observation, OutputSeen, PathSeen, ProbeSeen, ReachSeen, RouteSeen, RunSeen, WireSeen

RUN_S = 30.0
LOOK_S = 20.0
HOPS_MORE = 4  # how far beyond the expected path traceroute looks
DEFAULT = {"default": "0.0.0.0/0"}  # FRR knows no word for it
DNS_ROOT_QUERY = "6c61010000010000000000000000020001"  # RFC 1035, 4.1: recursion desired, one question: `.` NS IN
PLAIN_PROBE = b"labctl\n".hex()
UDP_PROBE = """import errno, socket, sys
address, port, payload, wait_s = sys.argv[1:]
family, kind, _, _, target = socket.getaddrinfo(address, int(port), type=socket.SOCK_DGRAM)[0]
with socket.socket(family, kind) as probe:
    probe.settimeout(float(wait_s))
    try:
        probe.connect(target)
        probe.send(bytes.fromhex(payload))
        probe.recv(65535)
        print("answered")
    except ConnectionRefusedError:
        print("refused")
    except TimeoutError:
        print("silent")
    except OSError as err:
        if err.errno not in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EPERM):
            raise
        print("unreachable")
"""


@dataclass(frozen=True)
class Question:
    """A script for `sh` in a node, and how long it may take, scaled already."""

    node: str
    script: str
    timeout_s: float


def ask(observation: Observation, time_scale: float = 1.0) -> tuple[Question, ...]:
    """The questions of an observation, one for each node concerned."""
    match observation:
        case RunSeen():
            return (question(observation.node, observation.run, RUN_S * time_scale),)
        case ReachSeen():
            node, address = towards(observation.reach)
            return (question(node, _reach(address, observation.by, time_scale), LOOK_S * time_scale),)
        case RouteSeen():
            command = _route if observation.source is None else _frr_route
            return tuple(question(node, command(to), LOOK_S * time_scale) for node, to in observation.route.items())
        case NeighbourSeen():
            return tuple(question(node, _neighbour(to), LOOK_S * time_scale) for node, to in observation.neighbour.items())
        case PathSeen():
            node, address = towards(observation.path)
            return (question(node, _path(address, len(observation.via), time_scale), LOOK_S * time_scale),)
        case WireSeen() | OutputSeen() | ProbeSeen():
            return ()


def question(node: str, command: str, timeout_s: float) -> Question:
    """`command` in `node`, ended by the node itself, children too, when its time is up (timeout(1): status 124)."""
    script = f"timeout -k 2 {timeout_s:g} sh -c {shlex.quote(command)} </dev/null"
    return Question(node, script, timeout_s)


def towards(text: str) -> tuple[str, str]:
    """`pc1 -> 192.168.1.12` → node, address."""
    node, _, address = text.partition(" -> ")
    return node, address


def _reach(address: str, by: str, time_scale: float) -> str:
    wait_s = max(1, math.ceil(time_scale / 2))  # an answer takes tens of milliseconds, emulated some hundreds
    protocol, _, port = by.partition("/")
    quoted = shlex.quote(address)
    match protocol:
        case "ping":
            return f"ping -n -q -c 3 -i 0.2 -W {wait_s} -- {quoted}"
        case "tcp":
            return f"nc -v -z -w {2 * wait_s} -- {quoted} {port}"
        case "udp":
            payload = DNS_ROOT_QUERY if port == "53" else PLAIN_PROBE
            return f"python3 -I -S -c {shlex.quote(UDP_PROBE)} {quoted} {port} {payload} {2 * wait_s}"
        case _:
            url = address if "://" in address else f"http://[{address}]/" if ":" in address and "." not in address else f"http://{address}/"
            return f"curl -sS -o /dev/null -m {5 * wait_s} -w '%{{http_code}}\\n' --url {shlex.quote(url)}"


def _route(destination: str) -> str:
    family = " -6" if ":" in destination else ""
    return f"ip -json{family} route show table main exact {shlex.quote(destination)}"


def _neighbour(address: str) -> str:
    return f"ip -json neighbour show to {shlex.quote(address)}"


def _frr_route(destination: str) -> str:
    family = "ipv6" if ":" in destination else "ip"
    return f"vtysh -c {shlex.quote(f'show {family} route {DEFAULT.get(destination, destination)} json')}"


def _path(address: str, nodes_between: int, time_scale: float) -> str:
    wait_s = max(1, math.ceil(time_scale / 2))
    return f"traceroute -I -n -q 1 -w {wait_s} -m {nodes_between + 1 + HOPS_MORE} {shlex.quote(address)}"
