"""What is kept of a renewal: its secrets stay out of the transcript, which a report carries to other people."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labctl.engine.keys import host_key, make_keys
from labctl.engine.renew import renew
from labctl.engine.session import Session
from labctl.lab.load import find_lab, load_lab
from tests.unit.engine.test_instances import made
from tests.unit.guest.test_agent import Script

ENDED = {"exited": True, "exitcode": 0}
WAYS: dict[str, tuple[int | None, list[Any]]] = {  # who waits, and what the agent answers
    "to a perl that waited": (7, [{}, 1000, {"count": 1, "eof": False}, {}, ENDED]),
    "by a program of its own": (None, [{}, {"pid": 7}, ENDED]),
}


@dataclass(frozen=True)
class OneChannel:
    """A hypervisor as far as a renewal knows it."""

    script: Script

    def channel(self, name: str) -> Script:
        return self.script


@pytest.mark.parametrize("way", WAYS)
def test_neither_seed_nor_keys_of_a_renewal_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    record = made("l2-switch")
    make_keys(record.directory, ("pc1",))
    waiting, answers = WAYS[way]
    script = Script(*answers)
    renew(Session(record, OneChannel(script)), load_lab(find_lab("l2-switch")), "pc1", waiting)  # type: ignore[arg-type]
    (sent,) = [
        words[key] for asked in script.asked if (words := asked.get("arguments")) for key in ("buf-b64", "input-data") if key in words
    ]
    program = base64.b64decode(sent).decode()
    seed, private = program.split()[2], host_key(record.directory, "pc1").read_text().splitlines()[1]
    assert (len(seed), private in program) == (128, True)
    kept = (record.directory / "log" / "agent-pc1.jsonl").read_text()
    assert f"({len(program)} characters of provisioning)" in kept
    assert not [secret for secret in (sent[:40], seed[:20], private[:20]) if secret in kept]
