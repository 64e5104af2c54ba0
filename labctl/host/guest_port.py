"""A virtio-serial port of a machine, from the host's side: QEMU's Unix socket for it.

Owns the limits of what is read: a guest is not trusted. What is said on the
port is the caller's affair.
"""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from labctl.errors import StepError, TimedOut
from labctl.host.unix_socket import connected

LONGEST_LINE = 4096
CONNECT_S = 10.0


class GuestPort:
    """An open port of one machine; whoever opens it is the only one at this end."""

    def __init__(self, connection: socket.socket, node: str) -> None:
        self._connection = connection
        self._node = node
        self._read = b""

    def send(self, data: bytes, *, timeout_s: float) -> None:
        """Send all of it; `StepError` if the machine ends or does not take it in time."""
        self._connection.settimeout(timeout_s)
        try:
            self._connection.sendall(data)
        except OSError as refused:
            raise StepError(f"{self._node} takes nothing on its port", why=f"{refused}") from refused

    def read_line(self, *, timeout_s: float) -> bytes:
        """The next line of what the guest says, without its end; `TimedOut`, or `StepError` if it ends or the line is too long."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._read:
            if len(self._read) > LONGEST_LINE:
                raise StepError(f"{self._node} says too much on its port", why=f"a line of more than {LONGEST_LINE} bytes")
            self._read += self._receive(deadline, timeout_s)
        line, _, self._read = self._read.partition(b"\n")
        return line

    def read(self, length: int, *, timeout_s: float) -> bytes:
        """The next `length` bytes of it; errors as of `read_line`."""
        deadline = time.monotonic() + timeout_s
        while len(self._read) < length:
            self._read += self._receive(deadline, timeout_s)
        said, self._read = self._read[:length], self._read[length:]
        return said

    def _receive(self, deadline: float, timeout_s: float) -> bytes:
        left = deadline - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self._connection.settimeout(left)
            received = self._connection.recv(4096)
        except TimeoutError as late:
            what = f"{self._node} did not answer on its port within {max(timeout_s, 0):.3g} s"
            raise TimedOut(what, hint=f"labctl console {self._node} shows its screen") from late
        except OSError as broken:
            raise StepError(f"the port of {self._node} is broken", why=f"{broken}") from broken
        if not received:
            raise StepError(f"{self._node} has ended", why="its port is closed")
        return received


@contextlib.contextmanager
def open_port(place: Path, node: str) -> Iterator[GuestPort]:
    """The port whose socket is `place`. `StepError` if the machine is not there."""
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(connected(place, timeout_s=CONNECT_S))
        except OSError as refused:
            hint = "a lab that an earlier labctl started: labctl down, then up"
            raise StepError(f"the port of {node} cannot be reached", why=f"{refused}", hint=hint) from refused
        yield GuestPort(connection, node)
