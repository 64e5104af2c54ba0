"""Small labs on disk, with roles of their own, so that what is tested does not hang on the shipped ones."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.lab.load import load_lab
from labctl.lab.topology import Lab

ROLES = Path(__file__).parent.parent / "golden" / "load_errors" / "roles"
HEAD = "name: small\ntitle: A small lab\n"

MakeLab = Callable[[str], Path]
LoadText = Callable[..., Lab]


@pytest.fixture
def make_lab(tmp_path: Path) -> MakeLab:
    """Writes a lab file (name and title are given) beside a copy of the test's roles."""

    def make(text: str) -> Path:
        shutil.copytree(ROLES, tmp_path / "roles", dirs_exist_ok=True)
        file = tmp_path / "lab.yaml"
        file.write_text(HEAD + text, encoding="utf-8")
        return file

    return make


@pytest.fixture
def load_text(make_lab: MakeLab) -> LoadText:
    def load(text: str, variant: str = "default") -> Lab:
        return load_lab(make_lab(text), variant=variant)

    return load
