"""Cables, taps and the management bridge of one instance, as requests to the program that runs inside (`wires_inside`).

Owns the words of that program and the names of taps: at most 15 characters (IFNAMSIZ, netdevice(7)). One call carries out many
requests in order; they are idempotent. Knows neither labs nor libvirt.
"""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from labctl.errors import CommandError, StepError
from labctl.host.namespace import FirstProcess, inside, python
from labctl.host.run import finish, start, stop

Request = dict[str, Any]
MANAGEMENT_BRIDGE = "mgmt"
UPLINK_BRIDGE, UPLINK_TAP = "uplink", "slirp"
MANAGEMENT_ADDRESS, MANAGEMENT_PREFIX = "169.254.0.1", 16
PROGRAM = Path(__file__).parent / "wires_inside.py"


def tap_name(node: int, port: int) -> str:
    """The tap of NIC `port` of node `node`, both counted from 0."""
    return f"n{node}p{port}"


def management_tap(node: int) -> str:
    return f"m{node}"


def make_tap(name: str) -> Request:
    return {"verb": "make_tap", "name": name}


def remove_tap(name: str) -> Request:
    return {"verb": "remove_tap", "name": name}


def connect(a: str, b: str) -> Request:
    """A cable between two taps that exist; cables they had are taken out of them first."""
    return {"verb": "connect", "a": a, "b": b}


def disconnect(name: str) -> Request:
    return {"verb": "disconnect", "name": name}


def make_management() -> Request:
    return {"verb": "make_bridge", "name": MANAGEMENT_BRIDGE, "address": MANAGEMENT_ADDRESS, "prefix": MANAGEMENT_PREFIX}


def join_management(tap: str) -> Request:
    return {"verb": "join_bridge", "tap": tap, "bridge": MANAGEMENT_BRIDGE}


def make_uplink_bridge(tap: str) -> Request:
    """The bridge that joins the nodes' uplinks to the tap of slirp4netns."""
    return {"verb": "make_uplink", "name": UPLINK_BRIDGE, "tap": tap}


def join_uplink(tap: str) -> Request:
    return {"verb": "join_bridge", "tap": tap, "bridge": UPLINK_BRIDGE}


class Fitter:
    """The program inside, which waits for what it is to do. For one call."""

    def __init__(self, argv: Sequence[str], process: "subprocess.Popen[bytes]") -> None:
        self._argv = argv
        self._process = process

    def carry_out(self, requests: Sequence[Request]) -> None:
        """Do all of it inside the namespaces; `StepError` with the kernel's refusal."""
        try:
            finish(self._process, self._argv, stdin=json.dumps(list(requests)).encode(), timeout_s=60)
        except CommandError as refused:
            raise StepError(
                "a wire could not be made", why=refused.output, hint="labctl doctor checks what wires need of the kernel"
            ) from refused


@contextlib.contextmanager
def open_fitter(first: FirstProcess) -> Iterator[Fitter]:
    """The program inside, started ahead of its requests: what it imports takes longer than what it does."""
    argv = inside(first, (python(), "-I", str(PROGRAM)))
    process = start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield Fitter(argv, process)
    finally:
        stop(process)


def carry_out(first: FirstProcess, requests: Sequence[Request]) -> None:
    """Do all of it now; errors as of `Fitter`."""
    if requests:
        with open_fitter(first) as fitter:
            fitter.carry_out(requests)
