"""The way to the internet of a node that asks for it: an interface `uplink`, addressed as slirp4netns(1) has it. Pure.

Owns those addresses: 10.0.2.0/24, gateway 10.0.2.2, name server 10.0.2.3. They exist only inside the instance. Who may have an uplink is
the person's to say (`--allow-uplink`); the wire is the engine's.
"""

from ipaddress import IPv4Address, IPv4Interface
from typing import TYPE_CHECKING

from labctl.lab.addresses import MAX_INTERFACES, lab_seed, mac_of

if TYPE_CHECKING:
    from labctl.lab.topology import Interface

UPLINK = "uplink"
GATEWAY, NAME_SERVER = IPv4Address("10.0.2.2"), IPv4Address("10.0.2.3")
FIRST_HOST, MOST_NODES = 15, 200
LAST_PORT = MAX_INTERFACES - 1  # a node with an uplink has one interface fewer for its lesson


def uplink_interface(lab: str, node: int) -> "Interface":
    """The interface of node `node` (its index), which is the first one's gateway to everything."""
    from labctl.lab.topology import Interface  # not before it is needed: the lab's models are slow to import

    address = IPv4Interface(f"10.0.2.{FIRST_HOST + node % MOST_NODES}/24")
    return Interface(UPLINK, mac_of(lab_seed(lab), node, LAST_PORT), (address,), {})
