"""Makes taps, cables and the management bridge inside a lab's network namespace: a program, told by JSON what to do.

    enter.py PID python3 -I wires_inside.py < requests.json

The only importer of pyroute2 (IPRoute only; it must be inside the namespace already). A cable is two taps, each with an ingress
qdisc whose u32 filter matches everything and redirects it to the other (tc-mirred(8)): every frame passes, LLDP and STP too.
Knows no labctl: interface names in, nothing out; a refusal is one line on standard error and status 1.
"""

import contextlib
import json
import sys
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

TAP_MTU = 9216  # before the redirect, or frames over 1500 bytes are lost
ETH_P_ALL = 0x0003
INGRESS = 0xFFFF0000
MIRRED_REDIRECT = {"kind": "mirred", "direction": "egress", "action": "redirect"}


class Netns:
    """The namespace that this program is in."""

    def __init__(self, netlink: IPRoute) -> None:
        self._ip = netlink

    def index(self, name: str) -> int:
        found = self._ip.link_lookup(ifname=name)
        if not found:
            raise LookupError(f"no interface {name}")
        return int(found[0])

    def make_tap(self, name: str) -> None:
        if not self._ip.link_lookup(ifname=name):
            self._ip.link("add", ifname=name, kind="tuntap", mode="tap")
        self._ip.link("set", index=self.index(name), mtu=TAP_MTU, state="up")

    def remove_tap(self, name: str) -> None:
        for index in self._ip.link_lookup(ifname=name):
            self._ip.link("del", index=index)

    def connect(self, a: str, b: str) -> None:
        for here, there in ((a, b), (b, a)):
            self.disconnect(here)
            self._ip.tc("add", "ingress", index=self.index(here), handle=INGRESS)
            self._ip.tc(
                "add-filter",
                "u32",
                index=self.index(here),
                parent=INGRESS,
                protocol=ETH_P_ALL,
                target=0x10000,
                keys=["0x0/0x0+0"],
                action={**MIRRED_REDIRECT, "ifindex": self.index(there)},
            )

    def disconnect(self, name: str) -> None:
        with contextlib.suppress(NetlinkError):  # it may have no cable
            self._ip.tc("del", "ingress", index=self.index(name), handle=INGRESS)

    def make_bridge(self, name: str, address: str, prefix: int) -> None:
        if not self._ip.link_lookup(ifname=name):
            self._ip.link("add", ifname=name, kind="bridge")
        self._ip.link("set", index=self.index(name), state="up")
        if address:
            self._ip.addr("replace", index=self.index(name), address=address, prefixlen=prefix)

    def make_uplink(self, name: str, tap: str) -> None:
        self.make_bridge(name, "", 0)
        self._ip.link("set", index=self.index(tap), master=self.index(name), state="up")

    def join_bridge(self, tap: str, bridge: str) -> None:
        self._ip.link("set", index=self.index(tap), master=self.index(bridge))
        self._ip.brport("set", index=self.index(tap), isolated=1)  # nodes meet on the lesson's wires only


def main() -> int:
    requests: list[dict[str, Any]] = json.load(sys.stdin)
    with IPRoute() as netlink:
        netns = Netns(netlink)
        for request in requests:
            verb = request.pop("verb")
            try:
                getattr(netns, verb)(**request)
            except (NetlinkError, LookupError, OSError) as refused:
                sys.stderr.write(f"{verb} {request}: {refused}\n")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
