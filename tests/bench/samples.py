"""What was measured: samples by side and figure, in one JSON file that every part of a run adds to.

Owns the file and the statistics; what the figures mean is `figures`'s, who takes them the two sides'.
"""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

LABCTL, VAGRANT = "labctl", "vagrant"


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The range of some samples, as in `1.21–1.35`."""
    return f"{min(values):.{digits}f}–{max(values):.{digits}f}"


@dataclass
class Samples:
    """Seconds (or MiB) by side and figure; texts by name; what failed by part. Written after each change: a run may be cut short."""

    file: Path
    about: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    busy: dict[str, float] = field(default_factory=dict)  # cores at work before each part

    @classmethod
    def load(cls, file: Path) -> "Samples":
        """What is in `file`; nothing if it is not there."""
        known = json.loads(file.read_text()) if file.exists() else {}
        return cls(file, **known)

    def add(self, side: str, figure: str, value: float) -> None:
        self.values.setdefault(side, {}).setdefault(figure, []).append(round(value, 4))
        self._write()

    def tell(self, name: str, text: str) -> None:
        """Keep a text, such as the machine's name or the output of one command."""
        self.texts[name] = text
        self._write()

    def describe(self, facts: dict[str, str]) -> None:
        """Keep facts about the machine and the programs; of a figure that two runs added to, the last run's."""
        self.about |= facts
        self._write()

    def begin(self, part: str, cores: float) -> None:
        """Keep how busy the machine was before a part, and forget that the part failed in an earlier run."""
        self.busy[part] = round(cores, 2)
        self.failed.pop(part, None)
        self._write()

    def fail(self, part: str, why: str) -> None:
        """Keep why a part could not be measured to its end."""
        self.failed[part] = why
        self._write()

    def of(self, side: str, figure: str) -> list[float]:
        return self.values.get(side, {}).get(figure, [])

    def median(self, side: str, figure: str) -> float | None:
        values = self.of(side, figure)
        return statistics.median(values) if values else None

    def _write(self) -> None:
        known = {"about": self.about, "values": self.values, "texts": self.texts, "failed": self.failed, "busy": self.busy}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(known, indent=1) + "\n")
