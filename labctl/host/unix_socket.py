"""Unix sockets whose own path may be too long to be said: it has at most 107 bytes (unix(7)). Knows nothing of who listens."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def connected(place: Path, *, timeout_s: float | None = None) -> Iterator[socket.socket]:
    """A connection to the socket at `place`, through its opened directory. `OSError` if nobody accepts (within `timeout_s`)."""
    with contextlib.ExitStack() as stack:
        directory = os.open(place.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, directory)
        connection = stack.enter_context(socket.socket(socket.AF_UNIX))
        connection.settimeout(timeout_s)
        connection.connect(f"/proc/self/fd/{directory}/{place.name}")
        yield connection
