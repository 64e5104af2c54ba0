"""A node's own files and commands as scripts; those of files are run for real, below a test's directory."""

import subprocess
from pathlib import Path

import pytest

from labctl.errors import StepError
from labctl.host.image_machine import PIECE, render_scripts
from labctl.host.image_recipe import LayerFile, MachineRecipe


def scripts_of(*files: LayerFile, run: tuple[str, ...] = ()) -> tuple[str, ...]:
    return render_scripts(MachineRecipe("0" * 64, files, run))


@pytest.mark.parametrize("content", [b"", b"one\n", b"no newline", bytes(range(256)) * 3, b"END\n'END'\n$(reboot)`x`\n"])
def test_a_file_arrives_byte_for_byte_with_its_mode(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a b" / "it's $HOME;x"
    *writing, _ = scripts_of(LayerFile(str(path), content, 0o640))
    for script in writing:
        subprocess.run(["sh", "-e"], input=script.encode(), check=True)
    assert path.read_bytes() == content
    assert path.stat().st_mode & 0o7777 == 0o640


def test_a_large_file_is_carried_in_pieces_that_the_agent_takes() -> None:
    scripts = scripts_of(LayerFile("/big", b"x" * (2 * PIECE + 1), 0o644))
    assert len(scripts) == 1 + 3 + 1
    assert max(map(len, scripts)) < 3 << 20


def test_commands_come_after_files_in_their_order() -> None:
    scripts = scripts_of(LayerFile("/etc/x", b"x", 0o644), run=("first", "second"))
    assert [script.split("\n")[1] for script in scripts[2:4]] == ["first", "second"]
    assert scripts[-1].endswith("sync")


@pytest.mark.parametrize("path", ["etc/x", "/etc/../../x", ""])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(StepError, match="impossible path"):
        scripts_of(LayerFile(path, b"", 0o644))
