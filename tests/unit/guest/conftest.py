"""Labs with the shipped roles, loaded from a text; and the identity of a node, with keys that open nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.guest.identity import Identity
from labctl.lab.load import load_lab
from labctl.lab.topology import Lab

LoadText = Callable[[str], Lab]


@pytest.fixture
def load_text(tmp_path: Path) -> LoadText:
    """Loads a lab of which only nodes, links and addresses are given; roles of its own may lie in tmp_path/roles."""

    def load(text: str) -> Lab:
        file = tmp_path / "lab.yaml"
        file.write_text(f"name: small\ntitle: {{en: A small lab}}\n{text}", encoding="utf-8")
        return load_lab(file)

    return load


@pytest.fixture
def identity() -> Identity:
    return Identity("pc1", "ssh-ed25519 AAAA person", "-----PRIVATE-----\nkey\n", "ssh-ed25519 BBBB pc1", "0123456789abcdef" * 2)
