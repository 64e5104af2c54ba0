"""The first process of an instance: prepares its namespaces, says `ready`, reaps whatever is orphaned and keeps logs short until it is
killed.

    unshare … python3 -I first_process.py INSTANCE_DIRECTORY SHORT_DIRECTORY

Owns the life of the namespaces (when it dies, the kernel ends every process in them and the taps vanish with the network) and the
length of logs: a guest that prints without end must not fill the host's disk. It must reap: without that each dead QEMU stays a zombie
and libvirt waits 40 s for it. Its standard input is its leash: it ends with whoever holds that, until it is told to stay. Standard
library only.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

MS_BIND = 0x1000
LOOK_S = 5  # between two looks at the logs
LONGEST_LOG, KEPT_OF_LOG = 16 << 20, 1 << 20  # bytes; of a longer one the end is kept


def bind(source: str, target: str) -> None:
    """Show the instance's directory at a short path: a Unix socket's path has at most 107 bytes (unix(7))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(os.fsencode(source), os.fsencode(target), None, MS_BIND, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot show {source} at {target}: {os.strerror(number)}")


def quieten() -> None:
    """No tap made here speaks by itself: IPv6 is off before the first one exists."""
    for scope in ("all", "default"):
        setting = Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6")
        if setting.exists():
            setting.write_text("1")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, stdin=subprocess.DEVNULL)


def shorten(log: Path) -> None:
    """Keep the end of a log that is too long. Its writers append, so they go on behind what is left."""
    size = log.stat().st_size
    if size <= LONGEST_LOG or not stat.S_ISREG(log.lstat().st_mode):
        return
    with log.open("r+b") as file:
        file.seek(size - KEPT_OF_LOG)
        kept = file.read(KEPT_OF_LOG)
        file.truncate(0)
    with log.open("ab") as file:
        file.write(b"[labctl: %d bytes before this were too many and are gone]\n" % (size - len(kept)) + kept)


def shorten_logs(directory: Path) -> None:
    with contextlib.suppress(OSError):
        for log in directory.iterdir():
            with contextlib.suppress(OSError):
                shorten(log)


def live(directory: str) -> None:
    """Reap what is orphaned; end when standard input does, unless `stay` was said on it: so nobody is left alone by a killed labctl."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    watched = [0, woken]
    while True:
        reap(directory)
        shorten_logs(Path(directory) / "log")
        ready = select.select(watched, [], [], LOOK_S)[0]
        if woken in ready:
            os.read(woken, 4096)
        if 0 in ready:
            if not os.read(0, 100):
                os._exit(0)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            watched = [woken]


def reap(directory: str) -> None:
    """Reap all that has ended. How a machine's process ended is noted before that: libvirt forgets its pid as soon as it is reaped."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None:
            return
        with contextlib.suppress(OSError):  # a full disk must not end an instance
            note_end(Path(directory), ended.si_pid, ended.si_code != os.CLD_EXITED, ended.si_status)
        os.waitpid(ended.si_pid, 0)


def note_end(directory: Path, pid: int, killed: bool, number: int) -> None:
    """One line in log/ended.jsonl if `pid` was a machine's, by libvirt's pid files."""
    for file in (directory / "run/libvirt/qemu/run").glob("*.pid"):
        if file.read_text().strip() == str(pid):
            entry = {"time": time.time(), "name": file.stem, "how": "signal" if killed else "status", "number": number}
            with (directory / "log/ended.jsonl").open("a") as log:
                log.write(json.dumps(entry) + "\n")


def main(directory: str, short: str) -> None:
    bind(directory, short)
    quieten()
    os.chdir("/")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    live(short)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
