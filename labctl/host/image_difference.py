"""The difference between two file trees, and how debugfs(8) writes it into an ext4 image: the way a layer of packages is kept
as its changes only.

Owns the language of debugfs and what a changed tree's tar says. Pure: who makes the tree, and runs debugfs, is image_packages.
"""

import stat
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from labctl.errors import StepError

XATTR = "SCHILY.xattr."
BANNER = "debugfs "


@dataclass(frozen=True)
class Change:
    """One path that is new or changed. `mode` with its type bits; `source` is the file on the host that holds the content.

    `link` is the target of a symbolic link, `twin` the path of the file that this one is a hard link to.
    """

    path: str
    mode: int
    uid: int
    gid: int
    mtime: int
    source: str = ""
    link: str = ""
    twin: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)  # name → file on the host that holds the value

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)


def change_of(member: tarfile.TarInfo, source: str, attributes: Mapping[str, str]) -> Change:
    """The change that a member of the changed tree's tar tells."""
    kinds = {tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK, tarfile.REGTYPE: stat.S_IFREG, tarfile.LNKTYPE: stat.S_IFREG,
             tarfile.FIFOTYPE: stat.S_IFIFO}  # fmt: skip
    if member.type not in kinds:
        raise StepError(f"a package put a device or socket into the image: {member.name}", hint="such a file cannot be kept in a layer")
    return Change(
        "/" + member.name.removeprefix("./"), kinds[member.type] | member.mode, member.uid, member.gid, int(member.mtime), source,
        member.linkname if member.issym() else "", "/" + member.linkname.removeprefix("./") if member.islnk() else "", attributes,
    )  # fmt: skip


def attributes_of(member: tarfile.TarInfo) -> dict[str, bytes]:
    """Extended attributes of a member, file capabilities among them, as GNU tar writes them."""
    said = {name.removeprefix(XATTR): value for name, value in member.pax_headers.items() if name.startswith(XATTR)}
    return {name: value.encode("utf-8", "surrogateescape") for name, value in said.items()}


def render_debugfs(before: Mapping[str, str], removed: Iterable[str], changes: Iterable[Change]) -> str:
    """Commands for `debugfs -w -f`: `before` maps each path of the image to its type letter (find(1), %y)."""
    listed = sorted(changes, key=lambda change: change.path)
    gone = [path for path in removed if path in before]
    replaced = [change.path for change in listed if change.path in before and not (change.is_directory and before[change.path] == "d")]
    lines = [*_removals(before, [*gone, *replaced]), *_directories(before, listed), *_files(listed), *_twins(listed)]
    for change in listed:
        lines += _fields(change)
    return "".join(f"{line}\n" for line in lines)


def _removals(before: Mapping[str, str], paths: Iterable[str]) -> Iterator[str]:
    for path in sorted(paths, reverse=True):  # what lies in a directory goes before it
        yield f"rmdir {quoted(path)}" if before[path] == "d" else f"rm {quoted(path)}"


def _directories(before: Mapping[str, str], changes: Iterable[Change]) -> Iterator[str]:
    for change in changes:
        if change.is_directory and before.get(change.path) != "d":
            yield f"mkdir {quoted(change.path)}"


def _files(changes: Iterable[Change]) -> Iterator[str]:
    for change in changes:
        directory, _, name = change.path.rpartition("/")
        if change.link:
            yield from (f"cd {quoted(directory or '/')}", f"symlink {quoted(name)} {quoted(change.link)}")  # of `/name` it makes `name`
        elif stat.S_ISFIFO(change.mode):
            yield from (f"cd {quoted(directory or '/')}", f"mknod {quoted(name)} p")
        elif stat.S_ISREG(change.mode) and not change.twin:
            yield from (f"cd {quoted(directory or '/')}", f"write {quoted(change.source)} {quoted(name)}")


def _twins(changes: list[Change]) -> Iterator[str]:
    counts: dict[str, int] = {}
    for change in changes:
        if change.twin:
            counts[change.twin] = counts.get(change.twin, 1) + 1
            yield f"ln {quoted(change.twin)} {quoted(change.path)}"
    for path, count in counts.items():  # debugfs makes the name, not the count
        yield f"set_inode_field {quoted(path)} links_count {count}"


def _fields(change: Change) -> Iterator[str]:
    if change.twin:
        return
    path = quoted(change.path)
    if not change.link:
        yield f"set_inode_field {path} mode 0{change.mode:o}"
    yield f"set_inode_field {path} uid {change.uid}"
    yield f"set_inode_field {path} gid {change.gid}"
    yield f"set_inode_field {path} mtime @{change.mtime}"
    for name, source in change.attributes.items():
        yield f"ea_set -f {quoted(source)} {path} {name}"


def quoted(path: str) -> str:
    """A word for debugfs; `StepError` for a path that its language cannot say."""
    if any(ord(letter) < 32 for letter in path):
        raise StepError(f"a package has a file whose name cannot be kept: {path!r}")
    return '"' + path.replace('"', '""') + '"'


def complaints_of(stderr: str) -> tuple[str, ...]:
    """What debugfs complained of: it ends with status 0 whatever happened."""
    return tuple(line for line in stderr.splitlines() if line.strip() and not line.startswith(BANNER))


def parse_removed(text: bytes) -> tuple[str, ...]:
    """Paths ended by NUL, as the building script writes them, made absolute."""
    return tuple("/" + path.removeprefix("./") for path in text.decode("utf-8", "surrogateescape").split("\0") if path)


def parse_paths(text: bytes) -> dict[str, str]:
    """`type path` records ended by NUL, as the building script writes them: path (absolute) → type."""
    records = [record.decode("utf-8", "surrogateescape") for record in text.split(b"\0") if record]
    return {"/" + path.removeprefix("./"): kind for kind, _, path in (record.partition(" ") for record in records)}
