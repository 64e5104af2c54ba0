"""Locks say who holds them, go with their holder, and protect nothing once their file was taken away. Real processes, really killed."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from labctl.errors import LockHeld
from labctl.host.locks import is_held, is_lock, is_pid_file_held, lock, use

HOLD = """
import sys, time
from pathlib import Path
from labctl.host.locks import lock
with lock(Path(sys.argv[1]), "hold it"):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(file: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen((sys.executable, "-c", HOLD, str(file)), stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_lock_names_its_holder_and_gives_up(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with holder(file) as process:
        began = time.monotonic()
        with pytest.raises(LockHeld) as held, lock(file, "take it", wait_s=0.3):
            pass
        assert 0.3 <= time.monotonic() - began < 5
        assert f"process {process.pid} (hold it)" in held.value.why
        process.kill()


def test_a_lock_of_a_killed_holder_is_free_and_its_file_is_evidence(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with holder(file) as process:
        assert is_held(file)
        process.send_signal(signal.SIGKILL)
    assert not is_held(file)
    assert is_lock(file)
    with lock(file, "take it"):
        assert is_held(file)
    assert not file.exists()


@pytest.mark.parametrize("left", ["", "process {dead} (hold it)\n"])
@pytest.mark.parametrize(("signs", "named"), [(True, "process {mine} (new)"), (False, "another labctl")])
def test_a_holder_is_named_once_it_has_signed_and_a_dead_one_never(tmp_path: Path, left: str, signs: bool, named: str) -> None:
    """Two labctl that start at the same moment: the second looks between the first one's lock and its signature."""
    file = tmp_path / "lock"
    with subprocess.Popen(["true"]) as dead:
        pass
    file.write_text(left.format(dead=dead.pid))
    sign = threading.Timer(0.2, lambda: file.write_text(f"process {os.getpid()} (new)\n"))
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if signs:
            sign.start()
        with pytest.raises(LockHeld) as told, lock(file, "take it"):
            pass
    assert told.value.why == f"{named.format(mine=os.getpid())} is at work on it"


def test_a_lock_may_stay_as_evidence(tmp_path: Path) -> None:
    with lock(tmp_path / "lock", "make it", keep=lambda: True):
        pass
    assert is_lock(tmp_path / "lock")
    assert not is_held(tmp_path / "lock")


@pytest.mark.parametrize("text", ["", "mine", "process x (y)", "process 1 (y) and more"])
def test_what_only_looks_like_a_lock_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / ".x.lock"
    file.write_text(text)
    assert not is_lock(file)


def test_a_link_is_no_lock_and_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("process 1 (x)\n")
    (tmp_path / "lock").symlink_to("real")
    assert not is_lock(tmp_path / "lock")
    with pytest.raises(OSError, match="symbolic"), lock(tmp_path / "lock", "take it"):
        pass


def test_of_many_takers_one_holds_it_at_a_time_although_each_takes_the_file_away(tmp_path: Path) -> None:
    file, inside, most = tmp_path / "lock", [0], [0]

    def take() -> None:
        for _ in range(25):
            with lock(file, "take it", wait_s=30):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                os.sched_yield()
                inside[0] -= 1

    takers = [threading.Thread(target=take) for _ in range(8)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert most == [1]
    assert not file.exists()


def test_users_share_and_keep_the_one_who_removes_out(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with use(file, "use it"):
        with use(file, "use it too"), pytest.raises(LockHeld, match="remove"), lock(file, "remove"):
            pass
        with pytest.raises(LockHeld), lock(file, "remove"):
            pass
    with lock(file, "remove"), pytest.raises(LockHeld), use(file, "use it"):
        pass
    assert not file.exists()


DAEMON = """
import fcntl, sys, time
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_pid_file_is_held_as_long_as_its_daemon_lives(tmp_path: Path) -> None:
    file = tmp_path / "daemon.pid"
    assert not is_pid_file_held(file)
    with subprocess.Popen((sys.executable, "-c", DAEMON, str(file)), stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"held\n"
        assert is_pid_file_held(file)
        daemon.kill()
        daemon.wait()
        assert file.exists()
        assert not is_pid_file_held(file)
