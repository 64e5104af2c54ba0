"""The initrd's archive, and the order of modules."""

import pytest

from labctl.errors import HostError
from labctl.host.image_initrd import Entry, initrd_entries, load_order, render_cpio

MODULES_DEP = """\
kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
"""


def read_cpio(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Name → mode and content, by Documentation/driver-api/early-userspace/buffer-format.rst."""
    found: dict[str, tuple[int, bytes]] = {}
    place = 0
    while True:
        assert archive[place : place + 6] == b"070701"
        fields = [int(archive[place + 6 + 8 * number : place + 14 + 8 * number], 16) for number in range(13)]
        name = archive[place + 110 : place + 110 + fields[11] - 1].decode()
        start = (place + 110 + fields[11] + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found[name] = (fields[1], archive[start : start + fields[6]])
        place = (start + fields[6] + 3) & ~3


def test_an_archive_holds_every_entry_whatever_its_length() -> None:
    entries = [Entry("d", 0o40755), *(Entry(f"d/{'n' * size}", 0o100644, b"x" * size) for size in range(1, 9))]
    assert read_cpio(render_cpio(entries)) == {entry.path: (entry.mode, entry.content) for entry in entries}


def test_an_initrd_has_its_program_its_shell_and_the_modules_in_order() -> None:
    files = read_cpio(render_cpio(initrd_entries(b"#!/bin/busybox sh\n", b"\x7fELF", {"b.ko": b"2", "a.ko": b"1"})))
    assert files["init"] == (0o100755, b"#!/bin/busybox sh\n")
    assert files["bin/busybox"][0] == 0o100755
    assert files["modules/order"][1] == b"b.ko\na.ko\n"
    assert files["modules/a.ko"][1] == b"1"


def test_a_module_comes_after_what_it_depends_on_and_once() -> None:
    names = [path.rsplit("/", 1)[-1] for path in load_order(MODULES_DEP, ["virtio-pci", "virtio_blk"])]
    assert names == ["virtio_ring.ko", "virtio.ko", "virtio_pci.ko", "virtio_blk.ko"]


def test_a_module_built_into_the_kernel_is_not_loaded() -> None:
    assert load_order(MODULES_DEP, ["ext4"], "kernel/fs/ext4/ext4.ko") == ()


def test_a_module_that_the_kernel_does_not_have_is_named() -> None:
    with pytest.raises(HostError, match="no module ext5"):
        load_order(MODULES_DEP, ["ext5"])
