"""The limiter that stands between a command in a node and the agent: run here, as it is run there."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from labctl.guest.agent import LIMITER, MOST_OUTPUT, Agent
from tests.unit.guest.test_agent import Script, encoded


def limited(most: int, *argv: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(("perl", "-e", LIMITER.read_text(), str(most), *argv), input=stdin, capture_output=True, timeout=60, check=False)


def test_a_command_is_as_it_was_below_the_limit() -> None:
    done = limited(1000, "sh", "-c", "cat; echo e >&2; exit 7", stdin=b"in\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"in\n", b"e\n")
    assert limited(1000, "sh", "-c", "kill -9 $$").returncode == 137
    assert limited(1000, "true").returncode == 0
    missing = limited(1000, "no-such-program")
    assert missing.returncode == 127
    assert missing.stderr.startswith(b"no-such-program: ")


def test_a_word_is_a_word_and_no_shell_reads_it() -> None:
    words = ("a b", "$(touch x)", "'", '"', "-e", "*", "日本", "")
    assert limited(1000, "printf", "%s|", *words).stdout.decode() == "".join(f"{word}|" for word in words)


@pytest.mark.parametrize("command", ["yes", "yes >&2", "yes & yes >&2; wait", "trap '' PIPE; yes; yes; exit 3"])
def test_one_that_prints_without_end_is_ended_after_so_many_bytes(command: str) -> None:
    began = time.monotonic()
    done = limited(200_000, "sh", "-c", command)
    assert len(done.stdout) + len(done.stderr) == 200_000
    assert time.monotonic() - began < 30


def test_what_it_prints_passes_while_it_runs() -> None:
    with subprocess.Popen(("perl", "-e", LIMITER.read_text(), "99", "sh", "-c", "echo now; sleep 60"), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143


def test_the_end_of_it_is_the_end_of_all_that_it_started(tmp_path: Path) -> None:
    script = f"sleep 300 & echo $! >{tmp_path}/pid; wait"
    with subprocess.Popen(("perl", "-e", LIMITER.read_text(), "99", "sh", "-c", script)) as process:
        deadline = time.monotonic() + 20
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child = int((tmp_path / "pid").read_text())
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}/stat").exists() and Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline, f"{child} runs on, asked by {os.getpid()}"
        time.sleep(0.01)


def test_output_that_was_cut_says_so_and_its_answer_fits_into_libvirts() -> None:
    assert len(encoded(bytes(MOST_OUTPUT + 1))) + 4096 < 4 << 20
    whole = {"exited": True, "exitcode": 0, "out-data": encoded(b"x" * (MOST_OUTPUT - 1)), "err-data": encoded(b"y")}
    done = Agent(Script({"pid": 7}, whole), "pc1").run(("x",), timeout_s=5, limited=True)
    assert not done.truncated
    over = {**whole, "err-data": encoded(b"yy")}
    done = Agent(Script({"pid": 7}, over), "pc1").run(("x",), timeout_s=5, limited=True)
    assert done.truncated
    assert len(done.stdout) + len(done.stderr) == MOST_OUTPUT
    only = {"exited": True, "exitcode": 0, "err-data": encoded(b"y" * (MOST_OUTPUT + 1))}
    assert Agent(Script({"pid": 7}, only), "pc1").run(("x",), timeout_s=5, limited=True).truncated
