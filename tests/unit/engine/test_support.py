"""One archive for whoever is asked for help: what it is told to hold is in it, and nothing of the person is."""

import json
import os
import re
import stat
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.check.redact import Person, redact
from labctl.engine.instances import InstanceRecord
from labctl.engine.journal import Journal
from labctl.engine.support import LONGEST, TOP, gather, this_person, versions, write
from tests.unit.engine.test_instances import made

PERSON = Person(
    names=("jdoe", "Jane Doe", "Jane", "Doe", "labctl"),
    homes=("/srv/people/jdoe", "/home/jdoe"),
    machines=("falcon", "falcon.physics.example.edu", "physics.example.edu"),
    addresses=("203.0.113.7", "2001:db8::7", "52:54:00:ab:cd:ef", "127.0.0.1", "::1", "00:00:00:00:00:00"),
)
TEXT = """\
/srv/people/jdoe/labs, /home/jdoe/.cache, /home/jdoe2/x, jdoe@falcon.physics.example.edu, JDOE said hello; "Jane Doe" <jane@doe.example>
falcon kernel: eth0 203.0.113.7/24 2001:DB8::7 52:54:00:AB:CD:EF 203.0.113.70 127.0.0.1
http://jdoe:hunter2@proxy.example:3128/ password: hunter2 "token": "s3cr3t"
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmU
-----END OPENSSH PRIVATE KEY-----
labctl up l2-switch: pc1 192.168.1.11/24 52:54:00:12:30:00
"""
GONE = ("jdoe", "jane", "doe", "falcon", "physics", "hunter2", "s3cr3t", "b3blb", "203.0.113.7/", "2001:db8", "52:54:00:ab")


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_names_and_addresses_of_the_person_are_taken_out_and_the_labs_stay() -> None:
    clean = redact(TEXT, PERSON)
    assert not [word for word in GONE if word in clean.lower()]
    assert "labctl up l2-switch: pc1 192.168.1.11/24 52:54:00:12:30:00" in clean
    assert "203.0.113.70 127.0.0.1" in clean, "another's address and a loopback tell nothing of this machine"
    assert "~/labs, ~/.cache" in clean


@settings(deadline=None)
@given(st.text())
def test_any_text_is_redacted_without_a_fault_and_twice_is_once(text: str) -> None:
    clean = redact(text, PERSON)
    assert redact(clean, PERSON) == clean


@pytest.mark.parametrize("letter", ["x", "@", "/", ":", "a.", "://", "password", "-----BEGIN PRIVATE KEY-----", "é"])
def test_a_guest_that_printed_a_megabyte_of_anything_costs_no_time(letter: str) -> None:
    began = time.process_time()
    redact(letter * (LONGEST // len(letter)), PERSON)
    assert time.process_time() - began < 5


def test_this_machine_is_known_to_itself() -> None:
    person = this_person()
    assert str(Path.home()) in person.homes
    assert os.uname().nodename in person.machines
    assert person.addresses


def instance_with_logs() -> InstanceRecord:
    record = made("l2-switch")
    Journal(record.directory).write("begin instance", directory=f"{Path.home()}/x", host=os.uname().nodename)
    logs = record.directory / "log"
    (logs / "serial-pc1.log").write_bytes(b"\x1b[2J\xff" + b"x" * (LONGEST + 5) + b"the end")
    (logs / "agent-pc1.jsonl").write_text('{"asked": "hostname"}\n')
    (logs / "link").symlink_to("/etc/passwd")
    (record.directory / "keys" / "id_ed25519").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n")
    (record.directory / "disks" / "pc1.ram").write_bytes(b"memory")
    return record


def test_the_archive_holds_what_is_listed_and_nothing_else(tmp_path: Path) -> None:
    bundle = gather((instance_with_logs(),), lambda: {"able": True})
    file = tmp_path / "report.tar.gz"
    write(bundle, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as tar:
        held = {member.name: (tar.extractfile(member) or pytest.fail("a file")).read().decode() for member in tar}
    assert set(held) == {f"{TOP}/{entry.name}" for entry in bundle.entries}
    here = f"{TOP}/instances/l2-switch"
    assert {f"{TOP}/versions.txt", f"{TOP}/doctor.json", f"{here}/instance.json", f"{here}/journal.jsonl", f"{here}/status.json"} <= set(
        held
    )
    assert held[f"{here}/log/serial-pc1.log"].endswith("the end")
    assert len(held[f"{here}/log/serial-pc1.log"]) < LONGEST + 100
    assert not [name for name in held if "key" in name or "ram" in name or "link" in name]
    whole = "".join(held.values())
    assert not re.search(rf"(?<![^\W_]){re.escape(os.uname().nodename)}(?![^\W_])", whole)
    assert str(Path.home()) not in whole or str(Path.home()) == "/"
    assert "secret" not in whole


def test_what_cannot_be_had_says_why_in_its_place_and_the_rest_is_there(tmp_path: Path) -> None:
    record = instance_with_logs()
    (record.directory / "journal.jsonl").unlink()

    def broken() -> dict[str, Any]:
        raise OSError("doctor is ill")

    held = {entry.name: entry.text for entry in gather((record,), broken).entries}
    assert "doctor is ill" in held["doctor.json"]
    assert held["instances/l2-switch/journal.jsonl"].startswith("not to be had: ")
    assert json.loads(held["instances/l2-switch/instance.json"])["lab"] == "l2-switch"


def test_an_archive_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(OSError, match="directory"):
        write(gather((), dict), tmp_path / "there")
    assert [file.name for file in tmp_path.iterdir() if "there" in file.name] == ["there"]


def test_versions_name_the_programs_that_labs_run_on() -> None:
    assert "QEMU emulator version" in versions()
    assert subprocess.run(("uname", "-r"), capture_output=True, text=True, check=True).stdout.strip() in versions()
