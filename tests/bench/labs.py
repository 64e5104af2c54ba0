"""Labs to measure with: hosts of 256 MiB on switches, any number of nodes. Pure.

A switch has 16 ports; with a port to each neighbour it carries 14 hosts, so larger labs are a chain of switches.
"""

HOSTS_AT_A_SWITCH = 14
LAB = """\
name: bench-{nodes}
title: {{en: Hosts on switches}}
nodes:
{machines}
links:
{links}
addresses:
{addresses}
"""


def switches_for(nodes: int) -> int:
    """How many of `nodes` nodes are switches."""
    return 0 if nodes <= 2 else -(-nodes // (HOSTS_AT_A_SWITCH + 1))


def render_lab(nodes: int, subnet: int = 0) -> str:
    """A lab file of `nodes` nodes in 10.`subnet`.0.0/16; another subnet makes it a lab that the machine never saw."""
    switches = switches_for(nodes)
    hosts = nodes - switches
    machines = [f"  {_names('pc', hosts)}: {{role: host, memory: 256MiB}}"]
    links = [f"  - pc{host}:eth1 -- {_port_of(host)}" for host in range(1, hosts + 1) if switches]
    if switches:
        machines.append(f"  {_names('sw', switches)}: l2-switch")
        links += [f"  - sw{switch}:port16 -- sw{switch + 1}:port15" for switch in range(1, switches)]
    elif hosts == 2:
        links = ["  - pc1:eth1 -- pc2:eth1"]
    else:
        return f"name: bench-1\ntitle: {{en: One host}}\nnodes:\n{machines[0]}\n"
    addresses = [f"  pc{host}: {{eth1: 10.{subnet}.0.{host}/16}}" for host in range(1, hosts + 1)]
    return LAB.format(nodes=nodes, machines="\n".join(machines), links="\n".join(links), addresses="\n".join(addresses))


def _names(stem: str, count: int) -> str:
    return f"{stem}1" if count == 1 else f"{stem}1..{stem}{count}"


def _port_of(host: int) -> str:
    switch, port = divmod(host - 1, HOSTS_AT_A_SWITCH)
    return f"sw{switch + 1}:port{port + 1}"
