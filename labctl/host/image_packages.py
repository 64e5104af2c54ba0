"""A layer of packages: apt run on a copy of the parent's files, in a user namespace, kept as a qcow2 image of what changed.

The parent's disk is the only input, so layers need no second copy of their files. No machine is started: installing on the host
takes seconds where an emulated machine takes minutes, and Debian's packages are trusted as those of the base are.
"""

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from labctl.errors import CommandError, HostError
from labctl.host.image_difference import parse_paths, parse_removed
from labctl.host.image_overlay import make_overlay
from labctl.host.image_sources import apt_options, host_source_lines
from labctl.host.image_tools import Tell, explained, run_as_root, tree_place
from labctl.host.image_writing import write_tree
from labctl.host.run import run

INSTALL_S = 1800.0
LEFTOVERS = (
    "disk.raw", "parent.raw", "changes.tar", "before", "after", "before.paths", "after.paths", "before.types", "changed", "removed",
    "rdump.log", "sources", "brought",
)  # fmt: skip

# Run as root of a user, mount and PID namespace. $1 tmpfs: yes or no, $2 number of apt's options, these, packages.
# A directory counts as changed by owner and mode only, a file by its ctime, which nothing can set back. debugfs leaves out set-uid
# bits and capabilities when it copies the tree; since no unchanged file is written back, that does no harm.
SCRIPT = r"""
export LC_ALL=C DEBIAN_FRONTEND=noninteractive INITRD=No HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
on_tmpfs=$1; options=$2; shift 2
mkdir tree
[ "$on_tmpfs" = no ] || mount -t tmpfs -o mode=0755 tmpfs tree
debugfs -R 'rdump / tree' disk.raw >rdump.log 2>&1
chmod 1777 tree/tmp tree/var/tmp

paths() {
  (cd tree && find . -xdev \( -path ./dev -o -path ./proc -o -path ./sys -o -path ./run -o -path ./tmp -o -path ./var/tmp \
    -o -path ./lost+found -o -path ./var/cache/apt -o -path ./var/lib/apt/lists -o -path ./etc/resolv.conf \) -prune \
    -o \( -type d -printf '%y %m %U %G\t%y %p\0' \) -o -printf '%y %m %U %G %s %C@\t%y %p\0') | sort -z
}
paths >before

mount -t proc proc tree/proc 2>/dev/null || mount --rbind /proc tree/proc
for node in null zero full random urandom tty; do : >"tree/dev/$node"; mount --bind "/dev/$node" "tree/dev/$node"; done
[ -e tree/etc/resolv.conf ] || : >tree/etc/resolv.conf
mount --bind "$(readlink -f /etc/resolv.conf)" tree/etc/resolv.conf
[ ! -s sources ] || mount --bind sources tree/etc/apt/sources.list
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
  : >tree/run/authorities; mount --bind "$(readlink -f /etc/ssl/certs/ca-certificates.crt)" tree/run/authorities
  authorities="-o Acquire::https::CaInfo=/run/authorities"
fi
printf '#!/bin/sh\nexit 101\n' >tree/usr/sbin/policy-rc.d; chmod 0755 tree/usr/sbin/policy-rc.d

apt_get() { chroot tree apt-get -q -o Dpkg::Options::=--force-unsafe-io ${authorities:-} "$@"; }
i=0; while [ "$i" -lt "$options" ]; do echo "$1"; shift; i=$((i + 1)); done >tree/etc/apt/apt.conf.d/99-building
apt_get update
apt_get install -y --no-install-recommends -- "$@"
apt_get clean

rm -f tree/usr/sbin/policy-rc.d tree/etc/apt/apt.conf.d/99-building tree/var/lib/dpkg/*-old tree/var/cache/debconf/*-old
find tree/var/log -type f -size +0 -exec truncate -s 0 {} +
[ ! -s sources ] || umount tree/etc/apt/sources.list
paths >after
comm -z -13 before after | cut -z -f2- | cut -z -c3- >changed
cut -z -f2- before | cut -z -c3- | sort -z >before.paths
cut -z -f2- after | cut -z -c3- | sort -z >after.paths
comm -z -23 before.paths after.paths >removed
cut -z -f2- before >before.types
tar -C tree --null --no-recursion -T "$PWD/changed" --format=posix --numeric-owner --xattrs --xattrs-include='*' -cf changes.tar
if tr '\0' '\n' <changed | grep -q '^\./boot/vmlinuz-'; then
  tar -C tree -cf kernel.tar $(cd tree && tr '\0' '\n' <../changed | grep '^\./boot/vmlinuz-') ./usr/lib/modules ./usr/bin/busybox
  chroot tree dpkg-query -W -f '${Package}, ${Depends}\n' -- "$@" >brought 2>/dev/null || true    # a virtual package has none
fi
# A hypervisor boots before the kernel, and QEMU takes it as plain ELF.
if tr '\0' '\n' <changed | grep -q '^\./boot/xen-.*\.gz$'; then
  gunzip -c $(cd tree && ls -1 "$PWD"/boot/xen-*.gz | sort -V | tail -n 1) >xen
fi
umount -l tree/proc
if [ "$on_tmpfs" = no ]; then
  for node in null zero full random urandom tty; do umount "tree/dev/$node"; done
  umount tree/etc/resolv.conf
  [ -z "${authorities:-}" ] || umount tree/run/authorities
  rm -rf --one-file-system tree
fi
"""


def build_packages(parent: Sequence[Path], packages: Sequence[str], build: Path, tell: Tell) -> frozenset[str]:
    """Make disk.qcow2 in `build`, on top of the disks of `parent` (top first). The releases of the kernels that `packages` name or
    depend on (empty: the parent's kernel stays), which are in kernel.tar.

    The backing file is named relatively: `build` must lie beside the parent's directory, and stay so.
    """
    tell("copying the layer below")
    raw, parent_disk = build / "disk.raw", parent[0]
    for copy in (raw, build / "parent.raw"):
        run(["qemu-img", "convert", "-O", "raw", str(parent_disk), str(copy)], timeout_s=300)
    tell(f"installing {' '.join(packages)}")
    install(build, packages, sum(disk.stat().st_size for disk in parent))
    tell("keeping what changed")
    write_changes(build, raw)
    kernels = parse_kernels((build / "brought").read_text()) if (build / "kernel.tar").exists() else frozenset()
    make_overlay(build / "parent.raw", raw, parent_disk, build / "disk.qcow2")
    for name in LEFTOVERS:
        (build / name).unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        (build / "tree").rmdir()
    return kernels


def parse_kernels(text: str) -> frozenset[str]:
    """The releases (`uname -r`) of the kernel packages in lines of names and dependencies.

    apt upgrades what was built from the same source as well, so another flavour's kernel may have come along that nobody asked for.
    """
    found = re.findall(r"\blinux-image-([0-9][0-9a-z.+~-]*)", text)
    return frozenset(name.removesuffix("-unsigned") for name in found if not name.endswith("-dbg"))


def install(build: Path, packages: Sequence[str], size_bytes: int) -> None:
    """Run apt; leaves changes.tar, before.types and removed in `build`."""
    if removing := [name for name in packages if name.endswith("-")]:
        raise HostError(f"'{removing[0]}' is no name of a package", why="to apt a name that ends in - means removal")
    (build / "sources").write_text("".join(f"{line}\n" for line in host_source_lines()))
    options = apt_options()
    try:
        run_as_root(SCRIPT, build, tree_place(size_bytes), str(len(options)), *options, *packages, timeout_s=INSTALL_S)
    except CommandError as failure:
        raise explained(failure, build) from failure


def write_changes(build: Path, raw: Path) -> None:
    """Write what changed.tar, before.types and removed in `build` say into the raw image."""
    before, removed = parse_paths((build / "before.types").read_bytes()), parse_removed((build / "removed").read_bytes())
    write_tree(build, raw, build / "changes.tar", before, removed)
