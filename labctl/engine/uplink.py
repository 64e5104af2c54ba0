"""The instance's way to the internet, where the person allowed it: one slirp4netns beside the instance.

Owns its start and its end. It runs in the host's network as the person, so it reaches what the person reaches, except the host's own
loopback (`--disable-host-loopback`). It ends with the instance, by construction: it waits on a pipe (`--exit-fd`) whose other end a
process of the instance's own PID namespace holds.
"""

import os
import subprocess
import time

from labctl.engine.instances import InstanceRecord
from labctl.errors import HostError
from labctl.host.namespace import inside
from labctl.host.run import start, stop
from labctl.host.wires import UPLINK_TAP

READY_S = 10.0


def open_uplink(record: InstanceRecord) -> None:
    """Start slirp4netns with its tap in the instance's network. `HostError` if it does not get ready."""
    ready, tell = os.pipe()
    life, held = os.pipe()
    start(inside(record.first, ("sleep", "infinity")), pass_fds=(held,))
    options = ("--disable-host-loopback", "--mtu=1500", f"--ready-fd={tell}", f"--exit-fd={life}")
    log = record.directory / "log" / "slirp4netns.log"
    try:
        with log.open("ab") as said:
            argv = ("slirp4netns", *options, str(record.first_pid), UPLINK_TAP)
            process = start(argv, stdout=said, stderr=subprocess.STDOUT, pass_fds=(tell, life))
        os.set_blocking(ready, False)
        if not _is_ready(process, ready):
            stop(process)
            raise HostError("the uplink does not open", why=log.read_text(errors="replace").strip()[-400:], hint="labctl doctor")
    finally:
        for end in (ready, tell, life, held):
            os.close(end)


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
