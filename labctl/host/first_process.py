"""The first process of an instance: prepares its namespaces, says `ready`, and reaps whatever is orphaned until it is killed.

    unshare … python3 -I first_process.py INSTANCE_DIRECTORY SHORT_DIRECTORY

Owns nothing but the life of the namespaces: when it dies, the kernel ends every process in them and the taps vanish with the
network. It must reap: without that each dead QEMU stays a zombie and libvirt waits 40 s for it. Standard library only.
"""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

MS_BIND = 0x1000


def bind(source: str, target: str) -> None:
    """Show the instance's directory at a short path: a Unix socket's path has at most 107 bytes (unix(7))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), None, MS_BIND, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot show {source} at {target}: {os.strerror(number)}")


def quieten() -> None:
    """No tap made here speaks by itself: IPv6 is off before the first one exists."""
    for scope in ("all", "default"):
        setting = Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6")
        if setting.exists():
            setting.write_text("1")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, stdin=subprocess.DEVNULL)


def reap_for_ever() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        signal.sigtimedwait({signal.SIGCHLD}, 3600)
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            pass


def main(directory: str, short: str) -> None:
    bind(directory, short)
    quieten()
    os.chdir("/")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    reap_for_ever()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
