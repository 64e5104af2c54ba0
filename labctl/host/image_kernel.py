"""The kernel that machines of an image boot, and its initrd, from the packages' files.

Owns which of several kernels it is, and how it is taken out of its compressed form. A packed kernel (bzImage) is unpacked by the
machine at each boot, and QEMU keeps it in memory for as long as the machine lives, 14 MiB each; a plain one (ELF, entered by PVH) is
mapped from its file, which all machines share.
"""

import contextlib
import lzma
import re
import struct
import tarfile
from collections.abc import Collection
from pathlib import Path

from labctl.errors import CommandError, HostError
from labctl.host.image_initrd import initrd_entries, load_order, render_cpio
from labctl.host.image_store import INITRD, VMLINUX, VMLINUZ
from labctl.host.image_tools import lines_of
from labctl.host.run import run

BOOT = "./boot/vmlinuz-"
SETUP_MAGIC = b"HdrS"
XZ, LZ4_LEGACY = b"\xfd7zXZ\0", b"\x02!L\x18"
UNPACK_S = 60.0
# The note that says where PVH enters a kernel: ELF note of owner Xen, type 18 (XEN_ELFNOTE_PHYS32_ENTRY), with 8 bytes.
PVH_NOTE = struct.pack("<III4s", 4, 8, 18, b"Xen\0")


def newest_kernel(files: Collection[str], releases: Collection[str]) -> str:
    """The newest release of the kernels in ./boot, only of these `releases` if there are any; empty if there is none."""
    found = {name.removeprefix(BOOT) for name in files if name.startswith(BOOT)}
    return max(found & set(releases) if releases else found, key=_by_number, default="")


def _by_number(release: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", release)]


def make_kernel(tree: Path, templates: Path, build: Path, releases: Collection[str] = (), *, packed: bool = False) -> None:
    """Kernel and initrd in `build`, from the newest kernel in the tar of a tree; `packed`: as it comes.

    Of `releases`, if there are any: where the tree has none of them, nothing is made, and the kernel of the layer below goes on.
    """
    with tarfile.open(tree) as tar:
        members = {member.name: member for member in tar}
        release = newest_kernel(members, releases)
        if not release:
            if releases:
                return
            raise HostError("the image has no kernel", hint="templates/base/packages.txt names one")
        modules = f"./usr/lib/modules/{release}"

        def content(name: str) -> bytes:
            file = tar.extractfile(members[name])
            assert file is not None, name
            return file.read()

        builtin, wanted = content(f"{modules}/modules.builtin").decode(), lines_of(templates / "kernel-modules.txt")
        order = load_order(content(f"{modules}/modules.dep").decode(), wanted, builtin)
        loaded = {path.rsplit("/", 1)[-1]: content(f"{modules}/{path}") for path in order}
        entries = initrd_entries((templates / "initrd-init").read_bytes(), content("./usr/bin/busybox"), loaded)
        image = content(f"{BOOT}{release}")
        plain = b"" if packed else unpack_kernel(image)
        (build / (VMLINUX if plain else VMLINUZ)).write_bytes(plain or image)
        (build / INITRD).write_bytes(render_cpio(entries))


def unpack_kernel(image: bytes) -> bytes:
    """The ELF file in a bzImage; empty if it is packed by what is not known here, or PVH cannot enter it: then it is booted as it is.

    Linux, Documentation/arch/x86/boot.rst, protocol 2.08: setup_sects, payload_offset and payload_length; the payload ends with the
    size of what is in it (4 bytes).
    """
    if len(image) < 0x250 or image[0x202:0x206] != SETUP_MAGIC or struct.unpack_from("<H", image, 0x206)[0] < 0x208:
        return b""
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = ((image[0x1F1] or 4) + 1) * 512 + offset
    payload, size = image[start : start + length - 4], int.from_bytes(image[start + length - 4 : start + length], "little")
    plain = b""
    with contextlib.suppress(lzma.LZMAError, CommandError, HostError):  # damaged; lz4 not there, which `doctor` tells
        if payload.startswith(XZ):
            plain = lzma.decompress(payload)
        elif payload.startswith(LZ4_LEGACY):
            plain = run(["lz4", "-d", "-c"], stdin=payload, timeout_s=UNPACK_S).stdout
    return plain if len(plain) == size and PVH_NOTE in plain else b""
