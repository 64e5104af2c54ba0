"""A node as libvirt's XML: golden, escaped, and valid by libvirt's own schema."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.host.domain_xml import DomainSpec, Nic, Ram, render_domain, render_interface
from labctl.lab.data import TEMPLATES

GOLDEN = Path(__file__).parent.parent / "golden" / "domain"
SPEC = DomainSpec(
    name="sw1",
    uuid="6ba7b810-9dad-51d1-80b4-00c04fd430c8",
    accelerator="tcg",
    memory_mib=256,
    cpus=1,
    kernel=Path("/cache/images/ab/vmlinux"),
    initrd=Path("/cache/images/ab/initrd"),
    cmdline="root=/dev/vda console=ttyS0 quiet",
    disk=Path("/state/instances/l2/disks/sw1.qcow2"),
    disk_chain=(Path("/cache/images/cd/disk.qcow2"), Path("/cache/images/ab/disk.qcow2")),
    nics=(Nic("m0", "52:54:ff:00:01:00", 6), Nic("n0p0", "52:54:00:12:30:00", 8, carrier=False)),
    console=Path("/srv/run/console-sw1"),
    worker=Path("/srv/run/worker-sw1"),
    serial_log=Path("/srv/log/serial-sw1.log"),
)
CASES = {
    "emulated": SPEC,
    "kvm": replace(SPEC, accelerator="kvm", cpus=4, nics=()),
    "clone": replace(SPEC, ram=Ram(Path("/cache/a, b & <c>/ram"), shared=False, incoming=True)),
    "xen": replace(SPEC, xen=Path("/cache/images/ef/xen"), kernel=Path("/cache/images/ef/vmlinuz"), nics=()),
    "to-be-saved": replace(SPEC, ram=Ram(Path("/state/sw1.ram"), shared=True, incoming=False)),
    "sixteen-nics": replace(SPEC, nics=tuple(Nic(f"n0p{n}", f"52:54:00:00:00:{n:02x}", 8 + n) for n in range(16))),
}


@pytest.mark.parametrize("case", CASES)
def test_a_domain_is_rendered_as_it_was_reviewed(case: str, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / f"{case}.xml", render_domain(CASES[case], TEMPLATES))


@pytest.mark.parametrize("case", CASES)
def test_libvirts_own_schema_accepts_it(case: str, tmp_path: Path) -> None:
    file = tmp_path / "domain.xml"
    file.write_text(render_domain(CASES[case], TEMPLATES))
    checked = subprocess.run(("virt-xml-validate", str(file), "domain"), capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_names_cannot_break_out_of_the_xml() -> None:
    spec = replace(SPEC, cmdline="a</cmdline><x>\"'&", disk=Path("/x'/><evil>"))
    text = render_domain(spec, TEMPLATES)
    assert "<x>" not in text
    assert "<evil>" not in text


def test_a_changed_link_state_says_nothing_of_the_boot_rom_which_libvirt_would_refuse_to_change() -> None:
    nic = replace(SPEC.nics[0], carrier=False)
    whole, changed = render_interface(nic, TEMPLATES), render_interface(nic, TEMPLATES, changed=True)
    assert '<link state="down"/>' in changed
    assert whole.replace('  <rom enabled="no"/>\n', "") == changed != whole


def test_offloads_are_off_on_every_nic() -> None:
    text = render_interface(SPEC.nics[0], TEMPLATES)
    assert 'csum="off"' in text
    assert 'tso4="off"' in text
