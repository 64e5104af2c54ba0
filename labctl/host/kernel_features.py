"""What this kernel lets an ordinary user do: an instance's own namespaces, and in them every kind of device a wire is made of.

Both are really tried, in a throw-away instance that is killed at the end; nothing of it is left. Owns the list of features that
wires need: asked of the host is nothing beyond it.
"""

from collections.abc import Sequence
from pathlib import Path

from labctl.errors import LabError
from labctl.host.account import explain_refused_namespaces, forbidding_switches
from labctl.host.finding import Finding, State
from labctl.host.making import making, new_name
from labctl.host.namespace import FirstProcess, borrowed_namespace, inside, short_place
from labctl.host.run import run
from labctl.lab.data import data_directory

# name | commands, tried in this order; each later one stands on the ones before
TRIALS = """
tap|ip tuntap add dev wire0 mode tap && ip tuntap add dev wire1 mode tap && ip link set wire0 up mtu 9216 && ip link set wire1 up mtu 9216
bridge|ip link add mgmt0 type bridge && ip link set wire1 master mgmt0 && bridge link set dev wire1 isolated on
ingress queue|tc qdisc add dev wire0 ingress
u32 filter with mirred redirect|tc filter add dev wire0 parent ffff: protocol all u32 match u32 0 0 action mirred egress redirect dev wire1
packet capture|tcpdump --version
""".strip()
SCRIPT = "\n".join(
    f"if said=$({{ {commands}; }} 2>&1); then echo '{name}|'; else echo '{name}|'$said; fi"
    for name, _, commands in (line.partition("|") for line in TRIALS.splitlines())
)
MODULES = {
    "bridge": "bridge",
    "ingress queue": "sch_ingress",
    "u32 filter with mirred redirect": "cls_u32 act_mirred",
}


def probe_instance(directory: Path) -> tuple[Finding, Finding]:
    """Namespaces and wires, tried as `up` makes them, with files below `directory`."""
    with making(directory / new_name("doctor"), "a trial") as place:
        (place / "log").mkdir()
        try:
            with borrowed_namespace(place, short_place(place, Path(__file__))) as first:
                return Finding("namespaces", State.OK, "this user can make an instance's namespaces (tried)"), probe_wires(first)
        except LabError as refused:
            profile = data_directory() / "packaging" / "apparmor-profile"
            namespaces = explain_refused_namespaces(refused.why or refused.what, forbidding_switches(), profile)
            return namespaces, Finding("wires", State.UNPROVEN, "wires were not tried", "they are made inside namespaces")


def probe_wires(first: FirstProcess) -> Finding:
    """Try each kind of device in the namespaces of `first`."""
    try:
        result = run(inside(first, ("sh", "-c", SCRIPT)), timeout_s=10)
    except LabError as error:
        return Finding("wires", State.FAIL, "wires cannot be tried", str(error), "labctl doctor --debug")
    return judge_wires(result.text.splitlines())


def judge_wires(lines: Sequence[str]) -> Finding:
    """From lines `feature|complaint`, empty if it worked. Pure."""
    refused = {name: complaint for name, _, complaint in (line.partition("|") for line in lines) if complaint}
    if not refused:
        return Finding("wires", State.OK, f"the kernel has what wires need: {', '.join(line.partition('|')[0] for line in lines)}")
    if "tap" in refused:
        return Finding("wires", State.FAIL, "no tap can be made, and so no wire", refused["tap"], "see `tun-device`")
    modules = " ".join(MODULES[name] for name in refused if name in MODULES)
    hint = f"load the modules: labctl doctor --fix, or sudo modprobe -a {modules}" if modules else "see `programs`"
    fix = (("modprobe", "-a", *modules.split()),) if modules else ()
    what = f"the kernel refuses: {', '.join(refused)}"
    return Finding("wires", State.FAIL, what, "; ".join(f"{name}: {complaint}" for name, complaint in refused.items()), hint, fix)
