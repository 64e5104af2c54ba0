"""The instance's way to the internet, where the person allowed it: one slirp4netns, a process of the instance's own PID namespace.

Owns its start. It runs in the host's network as the person, so it reaches what the person reaches, except the host's own loopback
(`--disable-host-loopback`); it ends with the instance, by construction.
"""

import os
import subprocess
import time

from labctl.engine.instances import InstanceRecord
from labctl.errors import HostError
from labctl.host.namespace import beside
from labctl.host.run import start, stop
from labctl.host.wires import UPLINK_TAP

READY_S = 10.0


def open_uplink(record: InstanceRecord) -> None:
    """Start slirp4netns with its tap in the instance's network. `HostError` if it does not get ready."""
    ours, theirs = os.pipe()
    options = ("--disable-host-loopback", "--enable-sandbox", "--enable-seccomp", "--mtu=1500", f"--ready-fd={theirs}")
    argv = beside(record.first, ("slirp4netns", *options, "--netns-type=path", f"/proc/{record.first_pid}/ns/net", UPLINK_TAP))
    log = record.directory / "log" / "slirp4netns.log"
    try:
        with log.open("ab") as said:
            process = start(argv, stdout=said, stderr=subprocess.STDOUT, pass_fds=(theirs,))
        os.close(theirs)
        os.set_blocking(ours, False)
        if not _is_ready(process, ours):
            stop(process)
            raise HostError("the uplink does not open", why=log.read_text(errors="replace").strip()[-400:], hint="labctl doctor")
    finally:
        os.close(ours)


def _is_ready(process: "subprocess.Popen[bytes]", ready: int) -> bool:
    deadline = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if os.read(ready, 1):
                return True
        except BlockingIOError:
            pass
        time.sleep(0.01)
    return False
