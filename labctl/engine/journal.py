"""What an instance has outside its namespaces, written down before it is made: one JSON object a line, synced to disk.

Owns `journal.jsonl`. `down` and `gc` remove what stands here, never what matches a pattern; a reader may find a last line cut
short by a kill, which then never happened.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Journal:
    """The journal of one instance."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "journal.jsonl"

    def write(self, what: str, **details: Any) -> None:
        """Append one entry; on disk when this returns."""
        line = json.dumps({"time": round(time.time(), 3), "what": what, **details}) + "\n"
        handle = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, line.encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    @contextmanager
    def intent(self, what: str, **details: Any) -> Iterator[None]:
        """Write down what is about to be made, and, once the block is through, that it is."""
        self.write(f"begin {what}", **details)
        yield
        self.write(f"done {what}", **details)

    def holds(self, what: str, *, since: str) -> bool:
        """Whether `what` was written after the last `since`."""
        words = [entry.get("what") for entry in self.entries()]
        last = len(words) - words[::-1].index(since) if since in words else 0
        return what in words[last:]

    def entries(self) -> tuple[dict[str, Any], ...]:
        """All whole entries, oldest first."""
        if not self._file.exists():
            return ()
        whole = []
        for line in self._file.read_text(errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                whole.append(entry)
        return tuple(whole)
