"""Addresses as a lab file writes them, read strictly: what is wrong is said in the words of someone who teaches subnets.

Pure. Each `parse_` gives the value or raises ValueError with the whole message; MACs are computed here too.
"""

import re
import zlib
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network, ip_address, ip_interface, ip_network

Address = IPv4Address | IPv6Address
InterfaceAddress = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network
MAX_NODES = 1024
MAX_INTERFACES = 16  # of a node: ports of the machine's PCI topology less labctl's own (design §5)
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def parse_address(text: str) -> Address:
    if re.fullmatch(r"[0-9a-fA-F.:]+/[0-9]+", text):
        raise ValueError(f"`{text}`: an address without prefix length is wanted here")
    try:
        return ip_address(text)
    except ValueError:
        raise ValueError(_why_no_address(text)) from None


def parse_interface_address(text: str, interface: str) -> InterfaceAddress:
    """An address with its prefix length, which a host may have on `interface`."""
    address, slash, prefix = text.partition("/")
    try:
        plain = ip_address(address)
    except ValueError:
        raise ValueError(_why_no_address(address)) from None
    if not slash:
        raise ValueError(f"`{text}` has no prefix length; as in {text}/{24 if plain.version == 4 else 64}")
    if not prefix.isdigit() or int(prefix) > plain.max_prefixlen or int(prefix) == 0:
        raise ValueError(f"`{text}`: the prefix length is a number from 1 to {plain.max_prefixlen}")
    return _for_a_host(ip_interface(text), text, interface)


def _for_a_host(value: InterfaceAddress, text: str, interface: str) -> InterfaceAddress:
    network = value.network
    if value.ip.is_multicast or value.ip.is_unspecified or (value.ip.is_loopback and interface != "lo"):
        raise ValueError(f"`{text}` cannot be the address of an interface")
    if network.num_addresses > 2 and value.ip == network.network_address:
        raise ValueError(f"`{text}` is the address of the network itself; hosts have {_hosts(network)}")
    if network.version == 4 and network.num_addresses > 2 and value.ip == network.broadcast_address:
        raise ValueError(f"`{text}` is the broadcast address of {network}; hosts have {_hosts(network)}")
    return value


def _hosts(network: Network) -> str:
    last = network.broadcast_address - (1 if network.version == 4 else 0)
    return f"{network.network_address + 1} to {last}"


def parse_network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"`{text}` is no network; one is written like 10.1.0.0/16") from None
    raise ValueError(f"`{text}` has host bits set; the network is {network}")


def parse_mac(text: str) -> str:
    """A MAC address of one interface, lower case."""
    mac = text.lower().replace("-", ":")
    if not _MAC.fullmatch(mac):
        raise ValueError(f"`{text}` is no MAC address; one is written like 52:54:00:12:34:56")
    if int(mac[:2], 16) & 1:
        raise ValueError(f"`{text}` is a group address: the lowest bit of its first byte is 1")
    if mac == "00:00:00:00:00:00":
        raise ValueError(f"`{text}` is no address of an interface")
    return mac


def _why_no_address(text: str) -> str:
    parts = text.split(".")
    if len(parts) == 4 and all(part.isdigit() for part in parts):
        if big := [part for part in parts if len(part) < 10 and int(part) > 255]:
            return f"`{text}` is no address: {big[0]} is more than 255"
        if zeros := [part for part in parts if len(part) > 1 and part.startswith("0")]:
            return f"`{text}` is no address: {zeros[0]} begins with 0"
    return f"`{text}` is no address" if text else "no address stands here"


def lab_seed(lab: str) -> int:
    """12 bits that differ between labs, for their MACs."""
    return zlib.crc32(lab.encode()) & 0xFFF


def mac_of(seed: int, node: int, port: int) -> str:
    """Address of `port` on `node`: 52:54:00 (the prefix of QEMU guests), then 12 bits of seed, 8 of node, 4 of port.

    Stable across runs, so that captures can be compared. `port` 0…15; a node beyond 255 carries into the seed's bits, which keeps
    the addresses of one lab different.
    """
    assert 0 <= node < MAX_NODES
    assert 0 <= port < 16
    low = ((seed << 12) + (node << 4) + port) & 0xFFFFFF
    return f"52:54:00:{low >> 16:02x}:{low >> 8 & 0xFF:02x}:{low & 0xFF:02x}"
