"""The verbs that need no machine, called as a person calls them; results on standard output, all else on standard error."""

import json
import os
import re
import socket
import subprocess
import sys
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from labctl.cli.app import VERBS, app
from labctl.cli.labs import try_to_write
from labctl.cli.main import FAMILIES
from labctl.engine.instances import InstanceRecord, NodeRecord, PortRecord, make_directory, write_record
from labctl.lab.load import shipped_labs

ROOT = Path(__file__).parents[3]
LAB = """\
name: tiny
title: {en: Two machines, ja: 2台のマシン}
nodes:
  pc1: host
  pc2: host
links:
  - pc1:eth1 -- pc2:eth1
addresses:
  pc1: {eth1: 192.168.1.11/24}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "lab.yaml").write_text(LAB)
    return tmp_path / "tiny"


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


def labctl(*words: str, cwd: Path = ROOT, **environment: str) -> Ended:
    """Run `labctl` as from a shell: in English unless the environment says otherwise, with no instance and no image anywhere."""
    places = {"XDG_STATE_HOME": "/nonexistent/state", "XDG_CACHE_HOME": "/nonexistent/cache"}
    language = {"LC_ALL": "", "LC_MESSAGES": "", "LANG": "C.UTF-8"}
    with chdir(cwd):
        ended = CliRunner().invoke(app, words, env={**places, **language, **environment}, prog_name="labctl")
    return Ended(ended.exit_code, ended.stdout, ended.stderr)


def shape_of(value: Any) -> Any:
    """Keys at all depths; of a list, those of its first entry."""
    if isinstance(value, dict):
        return {key: shape_of(entry) for key, entry in value.items()}
    return [shape_of(value[0])] if isinstance(value, list) and value else type(value).__name__ if isinstance(value, list) else "value"


def test_list_names_every_shipped_lab() -> None:
    listed = labctl("list")
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == [file.parent.name for file in shipped_labs()]
    assert listed.returncode == 0


def test_list_tells_titles_in_the_readers_language() -> None:
    assert re.search("[ぁ-ん]", labctl("list", "--lang", "ja").stdout)
    assert re.search("[ぁ-ん]", labctl("list", LANG="ja_JP.UTF-8").stdout)
    assert not re.search("[ぁ-ん]", labctl("list", "--lang", "en", LANG="ja_JP.UTF-8").stdout)


def test_quiet_leaves_out_remarks_but_no_result() -> None:
    loud, quiet = labctl("list"), labctl("list", "--quiet")
    assert loud.stdout == quiet.stdout
    assert loud.stderr
    assert not quiet.stderr


@pytest.mark.parametrize("words", [("--quiet", "list"), ("list", "-q")])
def test_common_options_may_stand_on_either_side_of_the_verb(words: tuple[str, ...]) -> None:
    assert labctl(*words).stderr == ""


def test_show_draws_a_lab_and_says_what_it_proves(lab: Path) -> None:
    shown = labctl("show", str(lab))
    assert "pc1  host\n└─ eth1 192.168.1.11/24 ── pc2:eth1  host" in shown.stdout


@pytest.mark.parametrize("verb", ["list", "show", "validate"])
def test_json_has_the_documented_shape(verb: str) -> None:
    arguments = {"list": (), "show": ("static-routing",), "validate": ("static-routing",)}[verb]
    said = json.loads(labctl(verb, *arguments, "--json").stdout)
    documented = json.loads(VERBS[verb].shape)
    if verb == "validate":
        said["files"][0]["faults"] = documented["files"][0]["faults"]
    assert shape_of(said) == shape_of(documented)


def test_every_documented_shape_is_json() -> None:
    assert FAMILIES
    for facts in VERBS.values():
        assert not facts.shape or json.loads(facts.shape)


def test_validate_says_what_a_lab_holds(lab: Path) -> None:
    assert labctl("validate", str(lab)).stdout == f"{lab}: valid, 2 nodes, 1 cable, 0 checks\n"


def test_validate_lists_all_faults_with_their_places(lab: Path) -> None:
    (lab / "lab.yaml").write_text(LAB.replace("pc2: host", "pc2: hots").replace("name: tiny", "nam: tiny"))
    refused = labctl("validate", "lab.yaml", cwd=lab)
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "lab.yaml:5:8: no role `hots`\n    did you mean `host`?\n" in refused.stderr
    assert re.search(r"^lab.yaml:1:1: no field `nam` ", refused.stderr, re.MULTILINE)
    assert re.search(r"^labctl: \d faults$", refused.stderr, re.MULTILINE)


def test_validate_as_json_lists_the_faults_too(lab: Path) -> None:
    (lab / "lab.yaml").write_text(LAB.replace("pc2: host", "pc2: hots"))
    refused = labctl("validate", str(lab), "--json")
    said = json.loads(refused.stdout)
    assert (said["valid"], said["files"][0]["faults"][0]["line"], refused.returncode) == (False, 5, 3)


def test_schema_is_a_json_schema() -> None:
    assert json.loads(labctl("schema").stdout)["$schema"].startswith("https://json-schema.org/")


@pytest.mark.parametrize(("form", "opening"), [("term", "tiny  Two machines"), ("mermaid", "---"), ("dot", "graph "), ("svg", "<?xml")])
def test_graph_draws_in_every_form(lab: Path, form: str, opening: str) -> None:
    assert labctl("graph", str(lab), "--format", form).stdout.startswith(opening)


def test_graph_writes_a_file(lab: Path, tmp_path: Path) -> None:
    drawn = labctl("graph", str(lab), "-f", "svg", "-o", str(tmp_path / "tiny.svg"))
    assert drawn.stdout == ""
    assert "<svg" in (tmp_path / "tiny.svg").read_text()


def test_guide_prints_the_lesson_of_the_language(lab: Path) -> None:
    (lab / "guide.md").write_text("# Two\n")
    (lab / "guide.ja.md").write_text("# 二台\n")
    assert labctl("guide", str(lab)).stdout == "# Two\n"
    assert labctl("guide", str(lab), "--lang", "ja").stdout == "# 二台\n"


def test_guide_falls_back_to_the_language_there_is_and_says_so(lab: Path) -> None:
    (lab / "guide.md").write_text("# Two\n")
    read = labctl("guide", str(lab), "--lang", "ja")
    assert (read.stdout, "guide.md" in read.stderr) == ("# Two\n", True)


def test_guide_shows_what_can_be_read_of_one_in_another_encoding(lab: Path) -> None:
    (lab / "guide.md").write_bytes("labctl up 二台\n".encode("shift-jis"))
    read = labctl("guide", str(lab))
    assert (read.returncode, read.stdout.startswith("labctl up \ufffd")) == (0, True)


RESULTS = ("image export", "support --output", "prove l2-switch --junit", "compare --html", "compare --markdown")
OF_A_LAB = ("capture pc1:eth1 --write", "trace pc1 pc2 --svg", "verify --junit", "scenario run cut --svg")


@pytest.fixture
def ended_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The place of the record of a lab that does not run any more."""
    place = str(tmp_path / "state")
    monkeypatch.setenv("XDG_STATE_HOME", place)
    nodes = (NodeRecord("pc1", 0, "host", 256, 1, "uuid", "169.254.0.2", (PortRecord("eth1", "t0", "52:54:00:00:00:01"),), ""),)
    directory = make_directory("tiny")
    write_record(InstanceRecord("tiny", "tiny", "/tiny/lab.yaml", "default", "d", directory, "/s", 0.0, "tcg", 4.0, nodes=nodes))
    return place


@pytest.mark.parametrize("words", RESULTS)
@pytest.mark.parametrize(
    ("place", "why"), [("gone/x", "No such file or directory"), ("here", "Is a directory"), ("file/x", "Not a directory")]
)
def test_a_result_that_could_not_be_written_is_refused_before_the_work(words: str, place: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "file").touch()
    done = labctl(*words.split(), str(tmp_path / place))
    assert done.returncode == 2
    assert f"{tmp_path / place} cannot be written\n  why: {why}" in done.stderr


@pytest.mark.parametrize("words", OF_A_LAB[1:])
def test_a_result_of_a_lab_that_could_not_be_written_is_refused_before_the_work(words: str, tmp_path: Path, ended_lab: str) -> None:
    done = labctl(*words.split(), str(tmp_path), XDG_STATE_HOME=ended_lab)
    assert done.returncode == 2
    assert f"{tmp_path} cannot be written" in done.stderr


@pytest.mark.parametrize("words", OF_A_LAB)
@pytest.mark.parametrize("before", [None, "an older result"])
def test_work_that_cannot_begin_leaves_the_file_for_its_result_as_it_was(
    words: str, before: str | None, tmp_path: Path, ended_lab: str
) -> None:
    file = tmp_path / "result"
    if before is not None:
        file.write_text(before)
    assert labctl(*words.split(), str(file), XDG_STATE_HOME=ended_lab).returncode != 0
    assert (file.read_text() if file.exists() else None) == before


def test_a_pipe_for_a_result_is_not_opened_before_the_work(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    try_to_write(tmp_path / "pipe")  # would wait for a reader, and be the end of what it reads


def test_artifacts_that_could_not_be_kept_are_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = labctl("prove", "l2-switch", "--artifacts", str(tmp_path / "file"))
    assert done.returncode == 2
    assert f"no directory {tmp_path / 'file'} can be made" in done.stderr


def test_new_writes_a_lab_that_validates(tmp_path: Path) -> None:
    assert labctl("new", "mine", cwd=tmp_path).returncode == 0
    assert labctl("validate", "mine", cwd=tmp_path).returncode == 0


def test_a_reader_that_goes_away_is_no_error() -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = f"{sys.executable} -m labctl.cli schema | head -c 1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", argv], env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_reader_that_closes_a_socket_is_no_error_either() -> None:
    ours, its = socket.socketpair()  # what sshd gives a command without a terminal
    its.close()
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = (sys.executable, "-m", "labctl.cli", "schema")
    with ours:
        ended = subprocess.run(argv, env=env, cwd=ROOT, stdout=ours.fileno(), stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_no_colour_where_none_is_wanted() -> None:
    assert "\033" not in labctl("list", NO_COLOR="1").stdout


def test_the_version_needs_no_verb() -> None:
    assert labctl("--version").stdout.startswith("labctl")


def test_the_module_is_the_command_too() -> None:
    argv = [sys.executable, "-m", "labctl.cli", "--help"]
    ended = subprocess.run(argv, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("Usage: labctl")


def test_the_command_reference_is_current() -> None:
    """`python -m labctl.cli.reference > docs/commands.md` makes it so."""
    argv = [sys.executable, "-m", "labctl.cli.reference"]  # in a process of its own: verbs stand in the order in which they are imported
    ended = subprocess.run(argv, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    assert (ROOT / "docs" / "commands.md").read_text() == ended.stdout


def test_help_of_every_verb_has_an_example() -> None:
    for facts in VERBS.values():
        assert any(facts.words in example for example in facts.examples), facts.words
