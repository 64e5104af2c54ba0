"""A node's initrd, made from the base image's file tree: one program, and the handful of modules that find the disk.

Owns what is read of modules.dep(5), and the cpio format (Documentation/driver-api/early-userspace/buffer-format.rst). Pure; which
files go in is the caller's.
"""

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labctl.errors import HostError


@dataclass(frozen=True)
class Entry:
    """A file of an initrd: `mode` with its type bits (stat.S_IFREG, S_IFDIR, S_IFCHR); `device` is (major, minor)."""

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def render_cpio(entries: Iterable[Entry]) -> bytes:
    """The entries as an uncompressed archive in the `newc` format: unpacking a compressed one costs more than reading this."""
    parts = [_cpio_entry(number, entry) for number, entry in enumerate(entries, 1)]
    return b"".join([*parts, _cpio_entry(0, Entry("TRAILER!!!", 0))])


def _cpio_entry(number: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    fields = (number, entry.mode, 0, 0, 1, 0, len(entry.content), 0, 0, *entry.device, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return _padded(head) + _padded(entry.content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def load_order(modules_dep: str, wanted: Iterable[str], builtin: str = "") -> tuple[str, ...]:
    """Paths of the wanted modules and all they need, each after what it depends on. `HostError` for one that does not exist."""
    depends = dict(_dependencies(modules_dep))
    by_name = {_module_name(path): path for path in depends}
    within = {_module_name(path) for path in builtin.split()}
    order: dict[str, None] = {}
    for name in wanted:
        path = by_name.get(_module_name(name))
        if path is None and _module_name(name) not in within:
            raise HostError(f"the kernel has no module {name}", hint="templates/base/kernel-modules.txt asks for it")
        if path is not None:
            for needed in (*reversed(depends[path]), path):  # modules.dep(5) lists the deepest last
                order[needed] = None
    return tuple(order)


def _dependencies(modules_dep: str) -> Iterable[tuple[str, tuple[str, ...]]]:
    for line in modules_dep.splitlines():
        path, _, needs = line.partition(":")
        yield path, tuple(needs.split())


def _module_name(path: str) -> str:
    return path.rsplit("/", 1)[-1].split(".", 1)[0].replace("-", "_")


def initrd_entries(init: bytes, busybox: bytes, modules: Mapping[str, bytes]) -> tuple[Entry, ...]:
    """The files of a node's initrd: `modules` (file name → content) are loaded in their order."""
    executable, directory = stat.S_IFREG | 0o755, stat.S_IFDIR | 0o755
    return (
        *(Entry(name, directory) for name in ("bin", "dev", "modules", "root")),
        Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
        Entry("init", executable, init),
        Entry("bin/busybox", executable, busybox),
        Entry("modules/order", stat.S_IFREG | 0o644, "".join(f"{name}\n" for name in modules).encode()),
        *(Entry(f"modules/{name}", stat.S_IFREG | 0o644, content) for name, content in modules.items()),
    )
