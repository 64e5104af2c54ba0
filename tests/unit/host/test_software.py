"""The list of system packages, and what is said of a program that is missing."""

from pathlib import Path

import pytest

from labctl.host.finding import State
from labctl.host.software import Package, distribution, load_packages, probe_libvirt, probe_libvirt_module, probe_programs, probe_qemu


def test_every_line_of_the_list_names_both_distributions_and_a_purpose() -> None:
    packages = load_packages()
    assert len(packages) > 15
    for package in packages:
        assert package.names["debian"]
        assert package.names["ubuntu"]
        assert package.purpose
    assert {"qemu-system-x86_64", "libvirtd", "mmdebstrap", "newuidmap"} <= {package.program for package in packages}


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("ID=debian\n", "debian"),
        ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n', "ubuntu"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', "ubuntu"),
        ("ID=fedora\n", ""),
        ("", ""),
    ],
)
def test_the_distribution_is_known_by_itself_or_by_what_it_is_like(tmp_path: Path, text: str, family: str) -> None:
    (tmp_path / "os-release").write_text(text)
    assert distribution(tmp_path / "os-release") == family


def test_missing_programs_come_in_one_finding_with_the_line_to_type() -> None:
    packages = (
        Package({"debian": "coreutils", "ubuntu": "coreutils"}, "true", "nothing"),
        Package({"debian": "one-d", "ubuntu": "one-u"}, "labctl-no-such-one", "the first"),
        Package({"debian": "two-d", "ubuntu": "two-u"}, "labctl-no-such-two", "the second"),
    )
    found = probe_programs(packages, "ubuntu")
    assert found.state is State.FAIL
    assert "labctl-no-such-one: the first; labctl-no-such-two: the second" in found.why
    assert found.hint == "sudo apt-get install -y --no-install-recommends one-u two-u"
    assert [argv[2:4] for argv in found.fix] == [("apt-get", "update"), ("apt-get", "install")]
    elsewhere = probe_programs(packages, "")
    assert elsewhere.fix == ()
    assert "own tools" in elsewhere.hint


def test_a_machine_that_runs_these_tests_has_qemu_libvirt_and_its_module() -> None:
    assert (probe_qemu().state, probe_libvirt().state, probe_libvirt_module("debian").state) == (State.OK,) * 3
