"""The programs labctl stands on: which are there, which versions, and the package that brings a missing one.

Owns the reading of `packaging/system-packages.txt` (one list for the set-up and for `doctor`) and what is too old.
"""

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import LabError
from labctl.host.finding import Argv, Finding, State
from labctl.host.run import clean_environment, run
from labctl.lab.data import data_directory

OLDEST_QEMU = (6, 2)
OLDEST_LIBVIRT = (8, 0)
DAEMONS = ("libvirtd", "virtqemud")  # newer releases split libvirtd; either serves an instance
IMPORT_LIBVIRT = "import libvirt; number = libvirt.getVersion(); print(number // 1000000, number // 1000 % 1000, sep='.')"


@dataclass(frozen=True)
class Package:
    """A line of the list: its name by distribution, the program that shows it is there ("" for none), what it is for."""

    names: dict[str, str]
    program: str
    purpose: str


def load_packages(file: Path | None = None) -> tuple[Package, ...]:
    """The list as data. Comments and empty lines are skipped."""
    text = (file or data_directory() / "packaging" / "system-packages.txt").read_text()
    rows = [[field.strip() for field in line.split("|")] for line in text.splitlines() if "|" in line and not line.startswith("#")]
    return tuple(Package({"debian": row[0], "ubuntu": row[1]}, row[2].strip("-"), row[3]) for row in rows)


def distribution(os_release: Path = Path("/etc/os-release")) -> str:
    """`debian`, `ubuntu`, or "" for one that the list has no column for; os-release(5)."""
    lines = os_release.read_text().splitlines() if os_release.exists() else []
    facts = {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}
    words = [facts.get("ID", ""), *facts.get("ID_LIKE", "").split()]
    return next((word for word in words if word in ("ubuntu", "debian")), "")


def find_program(name: str) -> str | None:
    """Its path, with the sbin directories looked through too: an ordinary user's PATH often lacks them."""
    return shutil.which(name, path=clean_environment()["PATH"])


def probe_programs(packages: tuple[Package, ...], family: str) -> Finding:
    """All missing ones in one finding, with the line to type."""
    missing = [package for package in packages if package.program and not _is_there(package.program)]
    if not missing:
        return Finding("programs", State.OK, f"all {sum(bool(package.program) for package in packages)} programs are there")
    what = f"missing: {', '.join(package.program for package in missing)}"
    why = "; ".join(f"{package.program}: {package.purpose}" for package in missing)
    if not family:
        return Finding("programs", State.FAIL, what, why, "install them with this distribution's own tools")
    install = apt_install([package.names[family] for package in missing])
    return Finding("programs", State.FAIL, what, why, f"sudo {' '.join(install[-1][2:])}", install)


def apt_install(names: list[str]) -> tuple[Argv, ...]:
    """Never asks: set-ups and CI runs have no standard input."""
    quiet = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get")
    return ((*quiet, "update", "-q"), (*quiet, "install", "-y", "--no-install-recommends", *names))


def _is_there(program: str) -> bool:
    return any(find_program(name) for name in (DAEMONS if program in DAEMONS else (program,)))


def probe_qemu() -> Finding:
    return _judge_version("qemu", "QEMU", _said(("qemu-system-x86_64", "--version")), OLDEST_QEMU)


def probe_libvirt() -> Finding:
    """libvirtd, or virtqemud where libvirt is split into daemons."""
    daemon = next((name for name in DAEMONS if find_program(name)), DAEMONS[0])
    return _judge_version("libvirt", f"libvirt ({daemon})", _said((daemon, "--version")), OLDEST_LIBVIRT)


def probe_libvirt_module(family: str) -> Finding:
    """Whether this very interpreter can import libvirt: tried in a process of its own, with labctl's own environment."""
    said = _said((sys.executable, "-I", "-c", IMPORT_LIBVIRT))
    if re.fullmatch(r"\d+\.\d+", said):
        return Finding("libvirt-python", State.OK, f"Python can import libvirt ({said})")
    why = f"{sys.executable} says: {said.splitlines()[-1] if said else 'nothing'}"
    hint = "use an environment made by /usr/bin/python3 -m venv --system-site-packages, and the package python3-libvirt"
    fix = apt_install(["python3-libvirt"]) if family and "No module named 'libvirt'" in said else ()
    return Finding("libvirt-python", State.FAIL, "Python cannot import libvirt", why, hint, fix)


def _said(argv: Argv) -> str:
    try:
        result = run(argv, timeout_s=5, check=False)
    except LabError as error:
        return str(error)
    return (result.text if result.status == 0 else result.complaint).strip()


def _judge_version(id: str, name: str, said: str, oldest: tuple[int, int]) -> Finding:
    found = re.search(r"(\d+)\.(\d+)(\.\d+)*", said)
    if not found:
        return Finding(id, State.FAIL, f"{name} does not answer", said or "it said nothing", "see `programs`")
    if (int(found[1]), int(found[2])) < oldest:
        wanted = ".".join(map(str, oldest))
        return Finding(id, State.WARN, f"{name} {found[0]} is older than any that was tried", f"{wanted} or newer is wanted", "upgrade it")
    return Finding(id, State.OK, f"{name} {found[0]}")
