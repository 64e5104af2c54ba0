"""Which kernel an image boots, where packages brought several, and how it is unpacked. What packs is the real thing."""

import io
import lzma
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from labctl.errors import HostError
from labctl.host.image_kernel import PVH_NOTE, make_kernel, newest_kernel, unpack_kernel
from labctl.host.image_packages import parse_kernels

# What dpkg-query said after `apt install linux-image-amd64 xenstore-utils` on an image with an older linux-image-cloud-amd64.
BROUGHT = """\
linux-image-amd64, linux-image-6.1.0-57-amd64 (= 6.1.192-3)
xenstore-utils, libc6 (>= 2.34), libxenstore4 (>= 4.6.0~rc1)
"""
FILES = ("./boot/config-6.1.0-57-amd64", "./boot/vmlinuz-6.1.0-57-amd64", "./boot/vmlinuz-6.1.0-57-cloud-amd64")


def test_the_kernel_that_was_asked_for_is_taken_and_not_another_flavour_that_apt_upgraded_along() -> None:
    assert parse_kernels(BROUGHT) == {"6.1.0-57-amd64"}
    assert newest_kernel(FILES, parse_kernels(BROUGHT)) == "6.1.0-57-amd64"


def test_packages_that_name_no_kernel_leave_the_one_that_there_was() -> None:
    assert parse_kernels("nginx-light, libc6 (>= 2.34)\nlinux-headers-amd64, linux-headers-6.1.0-57-amd64 (= 6.1.192-3)\n") == frozenset()


RT = "linux-image-6.1.0-57-rt-amd64"


@pytest.mark.parametrize("text", [f"{RT}, kmod\n", f"meta:amd64, {RT}:amd64 (= 1)|x\n", f"{RT}-unsigned, kmod\n{RT}-dbg, kmod\n"])
def test_a_kernel_is_found_by_its_own_name_or_as_a_dependency(text: str) -> None:
    assert parse_kernels(text) == {"6.1.0-57-rt-amd64"}


def test_releases_are_compared_by_number() -> None:
    files = ("./boot/vmlinuz-6.1.0-9-cloud-amd64", "./boot/vmlinuz-6.1.0-10-cloud-amd64")
    assert newest_kernel(files, ()) == "6.1.0-10-cloud-amd64"
    assert newest_kernel((), ()) == ""
    assert newest_kernel(files, {"6.9"}) == ""


def bzimage(payload: bytes, plain: bytes, protocol: int = 0x20F) -> bytes:
    """A packed kernel as the boot protocol lays it out: two sectors of set-up, a decompressor of 100 bytes, the payload and its size."""
    head = bytearray(3 * 512)
    head[0x1F1] = 2
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x206, protocol)
    struct.pack_into("<II", head, 0x248, 100, len(payload) + 4)
    return bytes(head) + bytes(100) + payload + struct.pack("<I", len(plain)) + b"trailer"


PLAIN = b"\x7fELF" + bytes(300_000) + PVH_NOTE + struct.pack("<Q", 0x1000850)
XZ_FILTERS = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2}]  # as Linux packs a kernel


def pack(plain: bytes, packer: str) -> bytes:
    if packer == "xz":
        return lzma.compress(plain, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=XZ_FILTERS)
    return subprocess.run(("lz4", "-l", "-c", "-9"), input=plain, capture_output=True, check=True).stdout


@pytest.mark.parametrize("packer", ["xz", "lz4"])
def test_a_packed_kernel_is_unpacked_whole(packer: str) -> None:
    assert unpack_kernel(bzimage(pack(PLAIN, packer), PLAIN)) == PLAIN


@pytest.mark.parametrize(
    "image",
    [
        b"",
        b"\x7fELF" * 500,
        bzimage(pack(PLAIN, "xz"), PLAIN, protocol=0x207),
        bzimage(pack(PLAIN, "xz"), PLAIN + b"more"),
        bzimage(pack(PLAIN, "xz")[:-40], PLAIN),
        bzimage(pack(PLAIN, "lz4")[:-40], PLAIN),
        bzimage(pack(PLAIN, "lz4"), PLAIN)[:2000],
        bzimage(pack(b"\x7fELF" + bytes(9000), "xz"), b"\x7fELF" + bytes(9000)),
        bzimage(b"BZh9 something else", PLAIN),
    ],
    ids=[
        "nothing",
        "no bzImage",
        "an old protocol",
        "another size",
        "cut xz",
        "cut lz4",
        "a cut file",
        "no way in by PVH",
        "packed by what is not known",
    ],
)
def test_a_kernel_that_cannot_be_unpacked_or_entered_is_booted_as_it_is(image: bytes) -> None:
    assert unpack_kernel(image) == b""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tar with what a kernel's packages bring, and busybox."""
    release, place = "6.1.0-57-cloud-amd64", tmp_path / "tree.tar"
    files = {
        f"./boot/vmlinuz-{release}": bzimage(pack(PLAIN, "lz4"), PLAIN), "./usr/bin/busybox": b"busybox",
        f"./usr/lib/modules/{release}/modules.builtin": b"kernel/fs/ext4/ext4.ko\n", f"./usr/lib/modules/{release}/modules.dep": b"",
    }  # fmt: skip
    with tarfile.open(place, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return place


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    (tmp_path / "kernel-modules.txt").write_text("ext4\n")
    (tmp_path / "initrd-init").write_text("#!/bin/busybox sh\n")
    return tmp_path


def made(build: Path) -> set[str]:
    return {file.name for file in build.iterdir() if file.name in ("vmlinux", "vmlinuz", "initrd")}


def test_a_layers_kernel_is_plain_and_xens_as_it_came(tree: Path, templates: Path, tmp_path: Path) -> None:
    for packed, name in ((False, "vmlinux"), (True, "vmlinuz")):
        build = tmp_path / name
        build.mkdir()
        make_kernel(tree, templates, build, packed=packed)
        assert made(build) == {name, "initrd"}
        assert ((build / name).read_bytes() == PLAIN) is not packed


def test_a_layer_whose_packages_brought_another_kernel_goes_on_with_the_one_below(tree: Path, templates: Path, tmp_path: Path) -> None:
    make_kernel(tree, templates, tmp_path, {"6.1.0-57-rt-amd64"})
    assert made(tmp_path) == set()


def test_a_base_without_a_kernel_is_refused(templates: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    with pytest.raises(HostError, match="no kernel"):
        make_kernel(tmp_path / "empty.tar", templates, tmp_path)
