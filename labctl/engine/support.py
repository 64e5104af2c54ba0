"""`support`: what somebody else needs to find out why a lab fails here, as one archive without the person's names and addresses.

    gather(records)  →  Bundle: entries (name, what it is, text), listed before anything is written        write(bundle, file)

Owns what goes in: versions, doctor's answer, and of each instance its record, journal, status and logs, the end of each. Never keys,
disks, memory or captures. What is taken out of the texts is `check/redact`'s.
"""

import contextlib
import getpass
import io
import json
import os
import platform
import pwd
import socket
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from labctl.check.redact import Person, redact
from labctl.engine.instances import InstanceRecord
from labctl.errors import LabError
from labctl.host.places import libvirt_cache_directory
from labctl.host.run import run

LONGEST = 1 << 20  # bytes of a log's end
TOP = "labctl-support"
PROGRAMS = (("qemu-system-x86_64", "--version"), ("libvirtd", "--version"), ("unshare", "--version"), ("tcpdump", "--version"))


@dataclass(frozen=True)
class Entry:
    """A file of the archive: its name in it, what it is, its text with nothing of the person."""

    name: str
    what: str
    text: str

    @property
    def size_bytes(self) -> int:
        return len(self.text.encode(errors="backslashreplace"))


@dataclass(frozen=True)
class Bundle:
    """All that goes in. `removed`: kinds of things that are taken out of it."""

    entries: tuple[Entry, ...]
    removed: tuple[str, ...] = (
        "user and real name",
        "home directory",
        "host name and domain",
        "addresses of this machine",
        "keys, passwords",
    )


def gather(records: Sequence[InstanceRecord], doctor: Callable[[], dict[str, Any]]) -> Bundle:
    """Collect for these instances; a part that cannot be had says why in its place. Changes nothing."""
    person = this_person()
    found = [*_of_the_machine(doctor), *(entry for record in records for entry in _of_an_instance(record))]
    clean = [Entry(redact(entry.name, person), entry.what, redact(entry.text, person)) for entry in found]
    return Bundle(tuple(entry for entry in clean if entry.text))


def write(bundle: Bundle, file: Path) -> None:
    """The archive, readable by the person only; whole or not there."""
    partial = file.with_name(f".{file.name}.new")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as stream:
            with tarfile.open(fileobj=stream, mode="w:gz") as tar:
                for entry in bundle.entries:
                    data = entry.text.encode(errors="backslashreplace")
                    member = tarfile.TarInfo(f"{TOP}/{entry.name}")
                    member.size, member.mode, member.mtime = len(data), 0o644, int(time.time())
                    tar.addfile(member, io.BytesIO(data))
            stream.flush()
            os.fsync(stream.fileno())
        partial.rename(file)
    finally:
        partial.unlink(missing_ok=True)


def default_file() -> Path:
    return Path(f"{TOP}-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz")


# --- the machine --------------------------------------------------------------------------------------------------------------


def _of_the_machine(doctor: Callable[[], dict[str, Any]]) -> Iterator[Entry]:
    yield Entry("versions.txt", "labctl, Python, kernel, QEMU, libvirt", _told(versions))
    yield Entry("doctor.json", "what labctl doctor finds", _told(lambda: json.dumps(doctor(), indent=1, default=str)))


def versions() -> str:
    from importlib.metadata import PackageNotFoundError, version

    lines = [f"Python {platform.python_version()}", f"kernel {platform.system()} {platform.release()} {platform.machine()}"]
    for package in ("labctl-kvm", "pydantic", "jinja2", "pyroute2", "typer", "rich"):
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package} not installed as a package")
    with contextlib.suppress(OSError):
        lines += [line for line in Path("/etc/os-release").read_text().splitlines() if line.startswith("PRETTY_NAME")]
    for argv in PROGRAMS:
        lines.append(_told(partial(_first_line, argv)))
    return "\n".join(lines) + "\n"


def _first_line(argv: tuple[str, ...]) -> str:
    return run(argv, timeout_s=10, check=False).text.partition("\n")[0] or f"{argv[0]} says nothing"


def _told(make: Callable[[], str]) -> str:
    """What `make` gives, or why it does not: a report is wanted just when something is broken."""
    try:
        return make()
    except (LabError, OSError, ValueError) as error:
        return f"not to be had: {error}\n"


# --- an instance --------------------------------------------------------------------------------------------------------------


def _of_an_instance(record: InstanceRecord) -> Iterator[Entry]:
    place = f"instances/{record.id}"
    yield Entry(f"{place}/status.json", f"the state of {record.id}", _told(lambda: _status(record)))
    yield Entry(f"{place}/instance.json", f"the record of {record.id}", _told(lambda: tail(record.directory / "instance.json")))
    yield Entry(f"{place}/journal.jsonl", "what was made, in order", _told(lambda: tail(record.directory / "journal.jsonl")))
    yield Entry(f"{place}/lab.yaml", "the lab file", _told(lambda: tail(Path(record.file))))
    for log in sorted(_files(record.directory / "log")):
        yield Entry(f"{place}/log/{log.name}", _what(log.name), _told(partial(tail, log)))
    for node in record.nodes:
        log = libvirt_cache_directory() / "libvirt" / "qemu" / "log" / f"{node.name}.log"
        if log.is_file():
            yield Entry(f"{place}/log/qemu-{node.name}.log", "how QEMU was started, and its complaints", _told(partial(tail, log)))


def _status(record: InstanceRecord) -> str:
    from labctl.engine.status import status

    return json.dumps(asdict(status(record)), indent=1, default=str)


def _files(directory: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return [file for file in directory.iterdir() if file.is_file() and not file.is_symlink()]
    return []


def _what(name: str) -> str:
    kinds = {
        "serial-": "what a node printed on its console",
        "agent-": "what was asked of a node's agent",
        "libvirtd": "libvirt's complaints",
    }
    return next((what for start, what in kinds.items() if name.startswith(start)), "a log")


def tail(file: Path) -> str:
    """The end of a file, as text."""
    with file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(max(0, size - LONGEST))
        text = stream.read(LONGEST).decode(errors="replace")
    return text if size <= LONGEST else f"[{size - LONGEST} bytes before this are left out]\n{text}"


# --- the person ---------------------------------------------------------------------------------------------------------------


def this_person() -> Person:
    """Who runs this, and the machine: all that must not be in a report."""
    names, homes = {os.environ.get("SUDO_USER", ""), os.environ.get("USER", "")}, {os.environ.get("HOME", ""), str(Path.home())}
    with contextlib.suppress(KeyError, OSError):
        names.add(getpass.getuser())
        entry = pwd.getpwuid(os.getuid())
        names |= {entry.pw_name, *(field.strip() for field in entry.pw_gecos.split(",")), *entry.pw_gecos.partition(",")[0].split()}
        homes.add(entry.pw_dir)
    homes |= {str(Path(home).resolve()) for home in homes if home}
    host = socket.gethostname()
    return Person(
        tuple(sorted(names - {""})),
        tuple(sorted(homes - {""})),
        tuple(sorted({host, host.partition(".")[0], *_domains()} - {""})),
        tuple(sorted(_addresses())),
    )


def _resolver() -> list[list[str]]:
    with contextlib.suppress(OSError):
        return [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines() if line and line[0] not in "#;"]
    return []


def _domains() -> set[str]:
    return {word for line in _resolver() if line and line[0] in ("search", "domain") for word in line[1:]}


def _addresses() -> set[str]:
    found = {line[1] for line in _resolver() if len(line) > 1 and line[0] == "nameserver"}
    with contextlib.suppress(LabError, ValueError, KeyError, TypeError):
        for link in json.loads(run(("ip", "-json", "addr"), timeout_s=10).text):
            found |= {link.get("address", ""), *(entry["local"] for entry in link.get("addr_info", ()))}
    return found - {""}
