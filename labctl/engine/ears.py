"""Listening on several wires at once: a tcpdump for each, their frames as one stream in the order of time.

Owns the programs' start (awaited), the merging (a frame is held back for a moment, since streams arrive unevenly) and their end. What is
done with the stream is `engine/listening.py`'s.
"""

import contextlib
import heapq
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from typing import IO

from labctl.check.pcapng import PcapReader, Record
from labctl.engine.capture import tcpdump_argv, wait_until_listening
from labctl.engine.instances import InstanceRecord
from labctl.host.run import start, stop

HOLD_S = 0.3
LOOK_S = 0.05
PIECE = 65536


class Ears:
    """The wires at `ends`, open: `frames()` gives what passes until `finish()` is called or the time is over."""

    def __init__(self, record: InstanceRecord, ends: Sequence[str], expression: str = "") -> None:
        self._record = record
        self._ends = tuple(ends)
        self._expression = expression
        self._running: list[subprocess.Popen[bytes]] = []
        self._arrived: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Ears":
        """Returns once every wire is listened on; `CommandError` if one cannot be."""
        with contextlib.ExitStack() as stack:
            for number, end in enumerate(self._ends):
                argv = tcpdump_argv(self._record, end, expression=self._expression)
                process = start(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                stack.callback(stop, process)
                self._running.append(process)
                threading.Thread(target=self._read, args=(number, process.stdout), daemon=True).start()
            for end, process in zip(self._ends, self._running, strict=True):
                wait_until_listening(end, process)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def finish(self) -> None:
        """What has passed by now still comes; then the stream ends."""
        for process in self._running:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)

    def frames(self, seconds: float | None = None) -> Iterator[Record]:
        """Frames in the order of time; without `seconds` until `finish`, or Ctrl-C, which finishes too."""
        deadline = None if seconds is None else time.monotonic() + seconds
        waiting: list[Record] = []
        streams = len(self._ends)
        while streams:
            if deadline is not None and time.monotonic() >= deadline:
                self.finish()
                deadline = None
            try:
                if (one := self._arrived.get(timeout=LOOK_S)) is None:
                    streams -= 1
                else:
                    heapq.heappush(waiting, one)
            except queue.Empty:
                pass
            except KeyboardInterrupt:
                self.finish()
            limit = time.time_ns() - int(HOLD_S * 1e9)
            while waiting and waiting[0].at_ns <= limit:
                yield heapq.heappop(waiting)
        while waiting:
            yield heapq.heappop(waiting)

    def _read(self, number: int, stream: IO[bytes] | None) -> None:
        assert stream is not None
        reader = PcapReader(number)
        try:
            while piece := os.read(stream.fileno(), PIECE):
                for one in reader.feed(piece):
                    self._arrived.put(one)
        except (OSError, ValueError):
            pass  # the stream was closed, or ended in the middle of a frame: what came before counts
        self._arrived.put(None)
