"""Segments: what one broadcast reaches. Links join interfaces; hubs, repeaters, bridges and switches join their ports.

Ports of a bridge whose settings differ (another VLAN, say) are not taken for joined: better to miss a clash than to claim one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from labctl.lab.roles import Role
from labctl.lab.topology import End, Interface

JOINING = frozenset(("hub", "repeater", "bridge", "switch"))


def segments_of(
    links: Iterable[tuple[End, End]], interfaces: Mapping[str, tuple[Interface, ...]], roles: Mapping[str, Role | None]
) -> list[list[End]]:
    """All segments, each a list of ends in the order of the lab."""
    ends = [End(node, port.name) for node, ports in interfaces.items() for port in ports if port.name != "lo"]
    leader = {end: end for end in ends}
    joined = [*links, *_inside(interfaces, roles)]
    for a, b in joined:
        if a in leader and b in leader:
            leader[_find(leader, a)] = _find(leader, b)
    groups: dict[End, list[End]] = defaultdict(list)
    for end in ends:
        groups[_find(leader, end)].append(end)
    return list(groups.values())


def _inside(interfaces: Mapping[str, tuple[Interface, ...]], roles: Mapping[str, Role | None]) -> Iterable[tuple[End, End]]:
    for node, ports in interfaces.items():
        role = roles[node]
        if role is None or role.file.kind not in JOINING:
            continue
        nics = [port for port in ports if port.mac]
        alike: list[Interface] = []
        for port in nics:
            same = next((one for one in alike if one.settings == port.settings), None)
            if same:
                yield End(node, same.name), End(node, port.name)
            else:
                alike.append(port)
        own = [port for port in ports if not port.mac and port.name != "lo" and "." not in port.name]
        if len(alike) == 1:
            yield from ((End(node, alike[0].name), End(node, port.name)) for port in own)


def _find(leader: dict[End, End], end: End) -> End:
    while leader[end] != end:
        leader[end] = leader[leader[end]]
        end = leader[end]
    return end
