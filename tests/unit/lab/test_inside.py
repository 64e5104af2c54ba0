"""Nothing of this machine gets into a lab: files and roles are taken from the lab's directory only."""

import os
from pathlib import Path

import pytest

from labctl.errors import LoadError
from labctl.lab.load import load_lab
from labctl.lab.load_files import check_target, path_inside, read_inside
from tests.unit.lab.conftest import MakeLab


@pytest.fixture
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("elsewhere") / "secret"
    file.write_text("not for guests")
    return file


def fault_of(file: Path) -> str:
    with pytest.raises(LoadError) as caught:
        load_lab(file)
    return "; ".join(f"{fault.what} {fault.why}".strip() for fault in caught.value.faults)


def with_source(name: str) -> str:
    return f"nodes:\n  pc1:\n    role: host\n    files:\n      /etc/x: {{source: {name}}}\n"


def test_a_file_of_the_labs_directory_is_taken(make_lab: MakeLab) -> None:
    file = make_lab(with_source("files/motd").replace("}", ", mode: 755, template: true}"))
    (file.parent / "files").mkdir()
    (file.parent / "files" / "motd").write_text("welcome")
    (taken,) = load_lab(file).node("pc1").files
    assert (taken.path, taken.content, taken.mode, taken.template) == ("/etc/x", b"welcome", 0o755, True)


def test_a_template_must_be_text(make_lab: MakeLab) -> None:
    file = make_lab(with_source("bytes").replace("}", ", template: true}"))
    (file.parent / "bytes").write_bytes(b"\xff")
    assert fault_of(file) == "`/etc/x` is a template, which must be UTF-8"


def test_a_symbolic_link_that_stays_inside_is_followed(make_lab: MakeLab) -> None:
    file = make_lab(with_source("link"))
    (file.parent / "real").write_text("x")
    (file.parent / "link").symlink_to("real")
    assert load_lab(file).node("pc1").files[0].content == b"x"


def test_a_symbolic_link_that_leads_out_is_refused(make_lab: MakeLab, secret: Path) -> None:
    file = make_lab(with_source("link"))
    (file.parent / "link").symlink_to(secret)
    assert fault_of(file) == "`link` leads out of the lab's directory by a symbolic link"


def test_a_directory_that_is_a_link_leading_out_is_refused(make_lab: MakeLab, secret: Path) -> None:
    file = make_lab(with_source("there/secret"))
    (file.parent / "there").symlink_to(secret.parent)
    assert fault_of(file) == "`there/secret` leads out of the lab's directory by a symbolic link"


def test_a_link_to_itself_is_no_file(make_lab: MakeLab) -> None:
    file = make_lab(with_source("loop"))
    (file.parent / "loop").symlink_to("loop")
    assert fault_of(file) == "no file `loop` in the lab's directory"


def test_a_pipe_is_no_regular_file_and_nothing_waits_for_it(make_lab: MakeLab) -> None:
    file = make_lab(with_source("pipe"))
    os.mkfifo(file.parent / "pipe")
    assert fault_of(file) == "`pipe` is no regular file"


@pytest.mark.parametrize("name", ["/etc/passwd", "~/x", "../x", "a/../../x", "a/..", "", "a\0b", "a\nb", "x" * 5000])
def test_names_that_are_no_place_in_the_directory_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="."):
        path_inside(tmp_path, name)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"12345")
    with pytest.raises(ValueError, match="at most 4"):
        read_inside(tmp_path, "big", 4)


@pytest.mark.parametrize("path", ["etc/x", "/", "/etc/", "/etc/../x", "/etc/./x", "/etc//x", "/a\0b", "/" + "x" * 1024, ""])
def test_paths_in_a_node_are_plain(path: str) -> None:
    with pytest.raises(ValueError, match="."):
        check_target(path)


# --- roles -----------------------------------------------------------------------------------------------------------------


def test_a_labs_own_role_cannot_be_a_link_leading_out(make_lab: MakeLab, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("role")
    (elsewhere / "role.yaml").write_text("title: x\nkind: host\n")
    file = make_lab("nodes: {pc1: mine}\n")
    (file.parent / "roles" / "mine").symlink_to(elsewhere)
    assert "leads out of the lab's directory by a symbolic link" in fault_of(file)


def test_a_template_of_a_role_cannot_be_a_link_leading_out(make_lab: MakeLab, secret: Path) -> None:
    file = make_lab("nodes: {pc1: host}\n")
    (file.parent / "roles" / "host" / "stolen.j2").symlink_to(secret)
    assert "leads out of the lab's directory by a symbolic link" in fault_of(file)


ROLE_FAULTS = {
    "title: x\n": "`kind` is missing its symbol in pictures",
    "title: x\nkind: bridg\n": "`kind` is `bridg` it is one of",
    "title: x\nkind: host\ntemplates: [{path: etc/x, template: a.j2}]\n": "`path` is `etc/x`",
    "title: x\nkind: host\ntemplates: [{path: /etc/x, template: ../../host/interfaces.j2}]\n": "no file `../../host/interfaces.j2` beside",
    "title: x\nkind: host\napply: missing.sh\n": "no file `missing.sh` beside role.yaml",
    "title: x\nkind: host\nsettings: {a: {type: strin}}\n": "`settings` is no JSON Schema",
    "title: x\nkind: host\nsettings: {a: {type: string, default: 5}}\n": "the default of `a` is not what its own schema wants",
    "title: x\nkind: host\npackages: [--force]\n": "item 1 of `packages` is `--force`",
    "title: x\nkind: host\nnature: y\n": "no field `nature` in a role",
    "- x\n": "the file holds no mapping",
    "title: [\n": "this is not YAML",
}


@pytest.mark.parametrize("text", ROLE_FAULTS, ids=lambda text: ROLE_FAULTS[text][:40])
def test_faults_of_a_role_are_told_with_the_roles_file(make_lab: MakeLab, text: str) -> None:
    file = make_lab("nodes: {pc1..pc3: mine, pc4: {role: host, nothing: 5}}\n")
    (file.parent / "roles" / "mine").mkdir()
    (file.parent / "roles" / "mine" / "role.yaml").write_text(text)
    told = fault_of(file)
    assert told.count(ROLE_FAULTS[text]) == 1
    assert "no setting `nothing`" in told
