"""Small layers for tests of the store: real qcow2 disks of a few KiB, with records as a build writes them."""

import subprocess
from pathlib import Path

from labctl.host.image_recipe import BaseRecipe, LayerRecipe, PackageRecipe
from labctl.host.image_store import DISK, INITRD, VMLINUX, FileDigest, LayerRecord, Store, sha256_of

BASE = BaseRecipe("bookworm", ("bash", "iproute2"), "0" * 64, "2025-01-31T12:00:00Z")


def package_recipe(parent: LayerRecipe = BASE, *packages: str) -> PackageRecipe:
    return PackageRecipe(parent.digest, packages or ("nginx",))


def keep_layer(store: Store, recipe: LayerRecipe, *, content: str = "one", parent_content: str = "", kernel: str = VMLINUX) -> LayerRecord:
    """Put a layer into the store as a build would; `content` tells two makes of one recipe apart."""
    with store.building(recipe.digest) as build:
        record = fill_build(build, recipe, content, parent_content, kernel)
        store.commit(build, record)
    return record


def fill_build(build: Path, recipe: LayerRecipe, content: str = "one", parent_content: str = "", kernel: str = VMLINUX) -> LayerRecord:
    disk = build / DISK
    backing = [] if isinstance(recipe, BaseRecipe) else ["-u", "-b", f"../{recipe.parent}/{DISK}", "-F", "qcow2"]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(disk), "1M"], check=True)
    with disk.open("ab") as file:
        file.write(content.encode().ljust(512, b"\0"))
    names = [DISK]
    if isinstance(recipe, BaseRecipe):
        names += [kernel, INITRD]
        (build / kernel).write_bytes(b"kernel " + content.encode())
        (build / INITRD).write_bytes(b"initrd")
    files = {name: FileDigest(sha256_of(build / name), (build / name).stat().st_size) for name in names}
    return LayerRecord(recipe.digest, recipe.as_data(), files, "root=/dev/vda", "2025-01-31T12:00:30Z", parent_content)


def keep_chain(store: Store) -> tuple[LayerRecord, LayerRecord]:
    """A base and a layer of packages on it."""
    base = keep_layer(store, BASE)
    return base, keep_layer(store, package_recipe(), parent_content=base.content)
