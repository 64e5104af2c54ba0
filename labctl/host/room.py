"""Room on disks, and places that can be written: asked for before anything is made, named when it is missing.

Owns what an OSError of a full, closed or read-only disk is called to a person, the files whose space is allocated before a machine runs
on them, and which file systems are untested. How much a lab needs is `lab/plan`'s.
"""

import ctypes
import errno
import os
import pwd
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from labctl.errors import HostError, NoRoom

MIB = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT)
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
FULL_WORDS = tuple(os.strerror(number) for number in FULL)
MAKE_ROOM = "make room (labctl gc, labctl image prune, df), then the same command again"
KEEP_SIZE, PUNCH_HOLE = 1, 2  # fallocate(2)
UNTESTED = {0x6969: "NFS", 0xFF534D42: "CIFS", 0xFE534D42: "SMB", 0x65735546: "FUSE", 0x01021997: "9p", 0x5346414F: "AFS"}  # statfs(2)
FORBIDDEN = re.compile(r'[\x00-\x1f\x7f"\\]')  # ssh_config(5) cannot carry them


# --- how much is free ---------------------------------------------------------------------------------------------------------


def existing(place: Path) -> Path:
    """`place`, or the nearest directory above it that is there."""
    return next(path for path in (place, *place.parents) if path.exists())


def free_mib(place: Path) -> int:
    """MiB that this user can still write where `place` lies or will lie."""
    disk = os.statvfs(existing(place))
    return disk.f_bavail * disk.f_frsize // MIB


def need_room(place: Path, needed_mib: int, what: str) -> None:
    """`NoRoom` that names place and amount, unless `needed_mib` are free there."""
    free = free_mib(place)
    if free < needed_mib:
        raise NoRoom(f"there is no room for {what}", why=f"{needed_mib} MiB are needed in {place}, {free} MiB are free", hint=MAKE_ROOM)


def allocate(file: Path, size_mib: int, what: str) -> None:
    """Make `file` so large that nothing can take its space any more: a write into a sparse shared file on a full disk is SIGBUS.

    What is in it stays. `NoRoom` if there is none; then a file that was made for this is gone again.
    """
    there = file.exists()
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(handle, 0, size_mib * MIB)
    except OSError as refused:
        if not there:
            file.unlink()
        if refused.errno not in FULL:
            raise
        free = free_mib(file.parent)
        why = f"{size_mib} MiB are needed in {file.parent}, {free} MiB are free"
        raise NoRoom(f"there is no room for {what}", why=why, hint=MAKE_ROOM) from refused
    finally:
        os.close(handle)


def give_back(file: Path) -> None:
    """Free what was allocated in `file` and never written. Where the file system cannot, it stays allocated."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        for start, end in _holes(handle, os.fstat(handle).st_size):
            libc.fallocate(handle, PUNCH_HOLE | KEEP_SIZE, ctypes.c_longlong(start), ctypes.c_longlong(end - start))
    finally:
        os.close(handle)


def _holes(handle: int, size: int) -> Iterator[tuple[int, int]]:
    """Ranges without data; allocated but unwritten ones are holes too (lseek(2), SEEK_HOLE)."""
    place = 0
    while place < size:
        start = os.lseek(handle, place, os.SEEK_HOLE)
        if start >= size:
            return
        try:
            place = os.lseek(handle, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            place = size
        yield start, place


# --- what went wrong ------------------------------------------------------------------------------------------------------------


def explain(error: OSError) -> HostError | None:
    """What a full, closed or too long place is to a person; None for an error that is none of these."""
    named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) and error.filename else None
    if error.errno in FULL:
        if named is None:
            return NoRoom("a disk is full", why=str(error), hint=MAKE_ROOM)
        return NoRoom(
            f"the disk of {named.parent} is full",
            why=f"{named.name} needs more than the {free_mib(named)} MiB that are free",
            hint=MAKE_ROOM,
        )
    if named is None:
        return None
    if error.errno in CLOSED:
        return HostError(f"{named} cannot be written or read", why=why_closed(named) or str(error.strerror), hint=_mending(named))
    if error.errno == errno.ENAMETOOLONG:
        return HostError(f"{str(named)[:80]}… is too long a path", why=str(error.strerror), hint="set XDG_STATE_HOME, XDG_CACHE_HOME")
    return None


def speaks_of_full_disk(text: str) -> bool:
    """Whether a program's complaint is that of a full disk; programs are started with messages in English."""
    return any(words in text for words in FULL_WORDS)


def why_closed(place: Path) -> str:
    """Why nothing can be made at `place`, as far as owner, mode and mount tell; empty if they do not."""
    there = existing(place)
    there = there if there.is_dir() else there.parent
    facts = there.stat()
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        return f"{there} lies on a file system that is mounted read-only"
    if facts.st_uid != os.geteuid():
        return f"{there} belongs to {owner_of(facts.st_uid)}, and you are {owner_of(os.geteuid())}"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} has mode {facts.st_mode & 0o7777:04o}: it is closed to yourself"
    return ""


def _mending(place: Path) -> str:
    there = existing(place)
    there = there if there.is_dir() else there.parent
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        return "set XDG_STATE_HOME and XDG_CACHE_HOME to places that can be written"
    if there.stat().st_uid != os.geteuid():
        return f"sudo chown -R {owner_of(os.geteuid())} {there}"
    return f"chmod u+rwx {there}"


def owner_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def check_place(directory: Path) -> None:
    """Make `directory`, private, and try a file in it. `HostError` says why labctl cannot keep its things there."""
    check_path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except NotADirectoryError as error:
        raise HostError(f"{directory} cannot be made", why=f"{existing(directory)} is no directory") from error
    except FileExistsError as error:
        raise HostError(f"{directory} is no directory", hint=f"look at it, then: mv {directory} {directory}.old") from error
    except OSError as error:
        raise explain(error) or HostError(f"{directory} cannot be used", why=str(error.strerror)) from error
    if directory.stat().st_uid != os.geteuid():
        raise HostError(f"{directory} is not yours", why=why_closed(directory), hint=_mending(directory))


def check_path(directory: Path) -> None:
    """`HostError` for a path that ssh's or libvirt's configuration cannot carry. Blanks and letters of any language are no trouble."""
    path = str(directory)
    try:
        path.encode()
    except UnicodeEncodeError:
        raise HostError("labctl's own directory has a name that is no UTF-8", why=ascii(path), hint="set XDG_STATE_HOME") from None
    if found := FORBIDDEN.search(path):
        why = f"{ascii(found[0])} cannot stand in the configuration of ssh"
        raise HostError(f"labctl cannot work in {ascii(path)}", why=why, hint="set XDG_STATE_HOME, XDG_CACHE_HOME")


# --- file systems -----------------------------------------------------------------------------------------------------------------


def filesystem_type(place: Path) -> int:
    """The magic number of the file system, statfs(2)."""
    facts = (ctypes.c_long * 32)()
    if ctypes.CDLL(None, use_errno=True).statfs(os.fsencode(existing(place)), ctypes.byref(facts)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(place))
    return facts[0] & 0xFFFFFFFF


def untested_filesystem(magic: int) -> str:
    """The name of a file system on which labctl has not been tried; empty for any other. Pure."""
    return UNTESTED.get(magic, "")
