"""A tree's changes as commands of debugfs; the last tests write them into a real file system and let e2fsck judge."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from labctl.errors import StepError
from labctl.host.image_difference import (
    Change,
    attributes_of,
    change_of,
    complaints_of,
    parse_paths,
    parse_removed,
    quoted,
    render_debugfs,
)
from labctl.host.image_writing import unpack_tree

BEFORE = {"/": "d", "/etc": "d", "/etc/old": "f", "/etc/old.d": "d", "/etc/old.d/a": "f", "/usr": "d", "/usr/prog": "f", "/usr/link": "l"}


def file(path: str, mode: int = 0o100644, **more: object) -> Change:
    return Change(path, mode, 0, 0, 1_700_000_000, source=f"content{path.replace('/', '-')}", **more)  # type: ignore[arg-type]


def test_what_was_removed_goes_contents_first() -> None:
    script = render_debugfs(BEFORE, ["/etc/old.d", "/etc/old.d/a", "/etc/never"], [])
    assert script == 'rm "/etc/old.d/a"\nrmdir "/etc/old.d"\n'


def test_a_new_directory_comes_before_its_file_and_a_changed_one_is_only_set() -> None:
    changes = [file("/etc/new/a"), Change("/etc/new", 0o40750, 0, 33, 7), Change("/etc", 0o40755, 0, 0, 7)]
    lines = render_debugfs(BEFORE, [], changes).splitlines()
    assert lines[:3] == ['mkdir "/etc/new"', 'cd "/etc/new"', 'write "content-etc-new-a" "a"']
    assert 'set_inode_field "/etc/new" mode 040750' in lines
    assert 'set_inode_field "/etc/new" gid 33' in lines
    assert 'mkdir "/etc"' not in lines


def test_a_changed_file_replaces_the_old_one() -> None:
    lines = render_debugfs(BEFORE, [], [file("/usr/prog", 0o104755)]).splitlines()
    assert lines[:3] == ['rm "/usr/prog"', 'cd "/usr"', 'write "content-usr-prog" "prog"']
    assert 'set_inode_field "/usr/prog" mode 0104755' in lines
    assert 'set_inode_field "/usr/prog" mtime @1700000000' in lines


def test_a_directory_that_became_a_link_gives_way() -> None:
    change = Change("/etc/old.d", 0o120777, 0, 0, 7, link="/usr/old.d")
    lines = render_debugfs(BEFORE, ["/etc/old.d/a"], [change]).splitlines()
    assert lines[:3] == ['rm "/etc/old.d/a"', 'rmdir "/etc/old.d"', 'cd "/etc"']
    assert lines[3] == 'symlink "old.d" "/usr/old.d"'
    assert not [line for line in lines if "mode" in line]


def test_hard_links_share_a_file_that_counts_them() -> None:
    changes = [file("/usr/a"), Change("/usr/b", 0o100644, 0, 0, 7, twin="/usr/a"), Change("/usr/c", 0o100644, 0, 0, 7, twin="/usr/a")]
    lines = render_debugfs(BEFORE, [], changes).splitlines()
    assert 'ln "/usr/a" "/usr/b"' in lines
    assert 'set_inode_field "/usr/a" links_count 3' in lines


@pytest.mark.parametrize(("path", "word"), [("/a b", '"/a b"'), ('/say "hi"', '"/say ""hi"""'), ("/naïve", '"/naïve"')])
def test_names_are_quoted(path: str, word: str) -> None:
    assert quoted(path) == word


def test_a_name_that_the_language_cannot_say_is_refused() -> None:
    with pytest.raises(StepError, match="cannot be kept"):
        quoted("/two\nlines")


def test_debugfs_complains_on_stderr_only() -> None:
    assert complaints_of("debugfs 1.47.0 (5-Feb-2023)\n") == ()
    assert complaints_of("debugfs 1.47.0 (5-Feb-2023)\nrm: File not found by ext2_lookup\n") == ("rm: File not found by ext2_lookup",)


def test_records_of_paths_are_read() -> None:
    assert parse_paths(b"d .\0f ./a b\0l ./c\0") == {"/.": "d", "/a b": "f", "/c": "l"}
    assert parse_removed(b"./a b\0./c\0") == ("/a b", "/c")


def test_a_device_in_a_package_is_refused() -> None:
    member = tarfile.TarInfo("./dev/sda")
    member.type = tarfile.BLKTYPE
    with pytest.raises(StepError, match="device or socket"):
        change_of(member, "", {})


def test_capabilities_survive_the_tar_with_every_byte() -> None:
    member = tarfile.TarInfo("./ping")
    value = bytes([1, 0, 0, 2, 0, 32, 0xFF, 0x80]) + bytes(12)
    member.pax_headers = {"SCHILY.xattr.security.capability": value.decode("utf-8", "surrogateescape"), "mtime": "1"}
    assert attributes_of(member) == {"security.capability": value}


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A small ext4 file system with a few files."""
    tree = tmp_path / "tree"
    (tree / "etc/old.d").mkdir(parents=True)
    (tree / "usr").mkdir()
    for name in ("etc/old", "etc/old.d/a", "usr/prog"):
        (tree / name).write_text(f"{name} as it was\n" * 1000)
    raw = tmp_path / "disk.raw"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(raw), "16M"], check=True, env={"PATH": "/usr/sbin:/sbin:/usr/bin"})
    return raw


def debugfs(disk: Path, *arguments: str) -> str:
    environment = {"PATH": "/usr/sbin:/sbin:/usr/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["debugfs", *arguments, disk.name], cwd=disk.parent, env=environment, capture_output=True, text=True, check=True)
    assert complaints_of(done.stderr) == ()
    return done.stdout


def changed_tar(place: Path) -> None:
    with tarfile.open(place, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, mode in (("./usr/new dir", 0o2750), ("./etc", 0o755)):
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.gid = tarfile.DIRTYPE, mode, 33
            tar.addfile(member)
        for name, content in (("./usr/prog", b"new\n" * 30_000), ('./usr/new dir/a "quoted" file', b"x"), ("./usr/empty", b"")):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.uid, member.mtime = len(content), 0o4755, 100_000, 1_600_000_000
            member.pax_headers = {"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00 " + "\x00" * 14}
            tar.addfile(member, io.BytesIO(content))
        for name, kind, target in (("./usr/twin", tarfile.LNKTYPE, "./usr/prog"), ("./etc/old.d", tarfile.SYMTYPE, "../usr/new dir")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member)


def test_a_real_file_system_holds_the_changes_and_is_whole(disk: Path) -> None:
    (disk.parent / "content").mkdir()
    changed_tar(disk.parent / "changes.tar")
    before = {path.removeprefix("/"): kind for path, kind in BEFORE.items()}
    script = render_debugfs(
        {f"/{path}": kind for path, kind in before.items()},
        ["/etc/old", "/etc/old.d/a"],
        unpack_tree(disk.parent / "changes.tar", disk.parent / "content"),
    )
    (disk.parent / "commands").write_text(script)
    debugfs(disk, "-w", "-f", "commands")
    subprocess.run(["e2fsck", "-f", "-n", str(disk)], check=True, capture_output=True, env={"PATH": "/usr/sbin:/sbin"})
    assert debugfs(disk, "-R", "cat /usr/prog") == "new\n" * 30_000
    assert debugfs(disk, "-R", "cat /usr/twin") == "new\n" * 30_000
    assert debugfs(disk, "-R", 'cat "/usr/new dir/a ""quoted"" file"') == "x"
    said = debugfs(disk, "-R", "stat /usr/prog")
    assert all(part in said for part in ("Mode:  04755", "User: 100000", "Links: 2", "security.capability (20) = 01 00 00 02 00 20"))
    assert 'Fast link dest: "../usr/new dir"' in debugfs(disk, "-R", "stat /etc/old.d")
    assert "Mode:  02750" in debugfs(disk, "-R", 'stat "/usr/new dir"')
    assert " old\n" not in debugfs(disk, "-R", "ls -l /etc")


def test_a_link_at_the_root_is_made_at_the_root() -> None:
    """debugfs takes `/name` for a name in the directory it stands in, wherever that is: a second kernel changes /vmlinuz."""
    lines = render_debugfs({"/vmlinuz": "l"}, (), [Change("/vmlinuz", 0o120777, 0, 0, 7, link="boot/vmlinuz-2")]).splitlines()
    assert lines[:3] == ['rm "/vmlinuz"', 'cd "/"', 'symlink "vmlinuz" "boot/vmlinuz-2"']
