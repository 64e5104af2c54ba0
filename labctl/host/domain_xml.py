"""A node's machine as libvirt's XML: the frozen description and its rendering, escaped, from `templates/`.

Owns DomainSpec and Nic, the only shape in which the engine tells `host/hypervisor` what to start. Pure, but for reading the templates.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

MACHINE = "pc-i440fx-7.2"  # fixed: a saved machine starts only on the type it was saved on
MANAGEMENT_SLOT, FIRST_NIC_SLOT = 0x06, 0x08  # 3 to 5 are the serial channel, the disk and the random numbers
TB_CACHE_MIB = 64  # 110 MiB for an idle node instead of 136 and more, a small job a few percent slower (design §4)
CPU_MODEL = "qemu64"  # the plainest one: with more features guests take AVX paths, which emulation makes slower


@dataclass(frozen=True)
class Nic:
    """A NIC: the host's tap by name, the MAC, its PCI slot, and whether the cable is in.

    The slot is ours to say: a machine that is started from a saved state must have each device where it was.
    """

    tap: str
    mac: str
    slot: int
    carrier: bool = True


@dataclass(frozen=True)
class Ram:
    """Guest memory as a file. `shared`: the guest writes into the file (to be saved); else it keeps what it writes to itself.

    `incoming`: the machine waits for a saved device state instead of booting.
    """

    file: Path
    shared: bool
    incoming: bool


@dataclass(frozen=True)
class DomainSpec:
    """Everything that a domain is made of. Paths are those inside the instance's mount namespace."""

    name: str
    uuid: str
    accelerator: str  # "kvm" or "tcg"
    memory_mib: int
    cpus: int
    kernel: Path
    initrd: Path
    cmdline: str
    disk: Path
    disk_chain: tuple[Path, ...]  # what `disk` lies on, top first; said in full, so that no path in a file counts
    nics: tuple[Nic, ...]
    console: Path  # Unix socket of the serial console
    worker: Path  # Unix socket of the port at which labctl's program waits in machines that are copied
    serial_log: Path
    emulator: Path = Path("/usr/bin/qemu-system-x86_64")
    machine: str = MACHINE
    cpu_model: str = CPU_MODEL
    ram: Ram | None = None
    xen: Path | None = None  # booted first; the kernel is then its first guest, dom0
    tb_cache_mib: int = TB_CACHE_MIB  # size of the emulator's translation cache; 0 is QEMU's own choice (1 GiB)


def worker_socket(node: str) -> str:
    """Name of the socket of that port of a node, in its instance's directory `run`."""
    return f"worker-{node}"


@cache
def _environment(templates: Path) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # not before it is needed: `status` starts nothing

    return Environment(loader=FileSystemLoader(templates), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=False)


def load_templates(templates: Path) -> None:
    """Read and compile the templates now, so that the first rendering is as quick as any: 0.05 s."""
    for name in ("domain.xml.j2", "interface.xml.j2"):
        _environment(templates).get_template(name)


def render_interface(nic: Nic, templates: Path, *, changed: bool = False) -> str:
    """The `<interface>` element of one NIC; `changed`: of one that is plugged in already, to change its link state."""
    return _environment(templates).get_template("interface.xml.j2").render(nic=nic, changed=changed)


def render_domain(spec: DomainSpec, templates: Path) -> str:
    """The whole `<domain>`."""
    from markupsafe import Markup

    def interface(nic: Nic) -> Any:
        return Markup(render_interface(nic, templates))  # noqa: S704 - already escaped by its own template

    return _environment(templates).get_template("domain.xml.j2").render(spec=spec, interface=interface)
