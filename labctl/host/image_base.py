"""The base image: Debian, as packages and files in `templates/base` say, made by an ordinary user.

Owns that directory's meaning and the steps from package lists to disk, kernel and initrd. Where the result is kept, and that
two builds do not meet, is the store's.
"""

import hashlib
import io
import shlex
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

from labctl.host.image_kernel import make_kernel
from labctl.host.image_recipe import DISK_MIB, BaseRecipe
from labctl.host.image_sources import SUITE, apt_options, host_source_lines, keyring
from labctl.host.image_tools import Tell, lines_of, mmdebstrap, require_room, run_as_root, scratch_place, tree_place
from labctl.host.run import run

BOOTSTRAP_S = 1800.0
BUILD_MIB, SCRATCH_MIB = 1200, 800
LISTS = "/tmp/labctl-base"  # in the new tree, while it is made
MERGED_USR = Path("/usr/share/mmdebstrap/hooks/merged-usr")  # without it a package comes that brings all of Perl, 47 MiB


def read_base_recipe(templates: Path, made: str) -> BaseRecipe:
    """The recipe as `templates` (templates/base) has it now."""
    sha = hashlib.sha256()
    for name, content in _all_files(templates):
        sha.update(f"{name}\0{len(content)}\0".encode() + content)
    return BaseRecipe(SUITE, tuple(sorted(lines_of(templates / "packages.txt"))), sha.hexdigest(), made)


def _all_files(directory: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.name.endswith((".pyc", "~")):
            yield path.relative_to(directory).as_posix(), path.read_bytes()


def now_stamp() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def build_base(recipe: BaseRecipe, templates: Path, build: Path, tell: Tell) -> str:
    """Make disk.qcow2, kernel and initrd in `build`; the kernel's command line is returned."""
    require_room(build, BUILD_MIB, "for the base image")
    require_room(scratch_place(), SCRATCH_MIB, "for making the base image")
    tree, additions = build / "root.tar", build / "additions.tar"
    additions.write_bytes(render_additions(templates))
    tell(f"fetching and unpacking {len(recipe.packages)} packages and what they need (about 100 MB)")
    mmdebstrap(_arguments(recipe, templates, additions, tree), build, BOOTSTRAP_S)
    tell("making its file system")
    make_disk(build)
    make_kernel(tree, templates, build)
    additions.unlink()
    tree.unlink()
    return " ".join(lines_of(templates / "cmdline.txt"))


def _arguments(recipe: BaseRecipe, templates: Path, additions: Path, tree: Path) -> list[str]:
    merged = [f"--hook-dir={MERGED_USR}"] if MERGED_USR.is_dir() else []
    left_out = [f"--dpkgopt={dpkg_option(line)}" for line in lines_of(templates / "left-out.txt")]
    return [
        "--variant=minbase", f"--keyring={keyring()}", f"--include={','.join(recipe.packages)}", *merged, *left_out,
        *(f"--aptopt={option}" for option in apt_options()),
        f"--customize-hook=tar-in {shlex.quote(str(additions))} /",
        f'--customize-hook=chroot "$1" sh {LISTS}/customise.sh {LISTS} && rm -r "$1{LISTS}"',
        recipe.suite, str(tree), *host_source_lines(),
    ]  # fmt: skip


def dpkg_option(line: str) -> str:
    """A line of left-out.txt as a setting of dpkg."""
    return f"path-include={line[1:]}" if line.startswith("+") else f"path-exclude={line}"


def render_additions(templates: Path) -> bytes:
    """What is added to the packages' files, as a tar: `files/` from the root on, the lists where customise.sh reads them."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in _all_files(templates):
            inside = name.removeprefix("files/") if name.startswith("files/") else f"{LISTS.lstrip('/')}/{name}"
            member = tarfile.TarInfo(f"./{inside}")
            member.size = len(content)
            member.mode = 0o755 if content.startswith(b"#!") else 0o644
            tar.addfile(member, io.BytesIO(content))
    return target.getvalue()


MAKE_DISK = """
    mkdir tree
    [ "$1" = no ] || mount -t tmpfs -o mode=0755 tmpfs tree
    tar -xf root.tar -C tree --numeric-owner --same-permissions --xattrs --xattrs-include='*' --exclude='./dev/*'
    mke2fs -q -t ext4 -d tree -L root -m 0 -J size=16 -E lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 disk.raw "$2M"
    [ "$1" = no ] || umount tree
    rm -rf --one-file-system tree
    """


def make_disk(build: Path) -> None:
    """root.tar in `build` as an ext4 file system in disk.qcow2. Its tables are written now, so that no node does it later."""
    run_as_root(MAKE_DISK, build, tree_place((build / "root.tar").stat().st_size), str(DISK_MIB))
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "disk.raw", "disk.qcow2"], timeout_s=300, cwd=build)
    (build / "disk.raw").unlink()
