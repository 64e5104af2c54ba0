"""A desk for a lesson: tmux with the guide, a shell in each node and a decoded capture, as one command. Pure but for the socket's place.

Owns the layout: the guide at the left, at its right the first shells above the capture; each further node in a window of its own, named
after it. Its tmux is a server of its own, and ends with the terminal that shows it.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from labctl.engine.instances import InstanceRecord
from labctl.engine.links import port_at
from labctl.host.places import runtime_directory

BESIDE = 2  # shells beside the guide; the others have windows
MOST_WIRES = 6  # of a lab with more only those of the first shells are listened on
AGAIN = "trap : INT; while :; do {command}; printf '\\n%s' {question}; read -r answer || exit; done"  # Ctrl-C ends the command only


@dataclass(frozen=True)
class Pane:
    """A title and a command for sh."""

    title: str
    command: str


def desk_argv(record: InstanceRecord, labctl: Sequence[str], wires: Sequence[str], language: str) -> tuple[str, ...]:
    """tmux's argument tuple. `labctl`: how labctl is called here; `wires`: what the capture listens on, else what is sensible."""
    record.need_running()
    for end in wires:
        port_at(record, end)
    call = Call(tuple(labctl), record.id, language)
    shells = [Pane(node.name, call.again(f"{node.name}: Enter logs in again ", "ssh", node.name)) for node in record.nodes]
    guide = Pane("guide", call.words("guide", record.file, "--pager"))
    capture = Pane("capture", call.again("Enter listens again ", "capture", *(wires or wires_for(record))))
    socket = str(runtime_directory() / f"desk-{record.first_pid}-{record.first_started}")
    words = ["tmux", "-S", socket, "new-session", "-s", record.id, "-n", "desk", guide.command]
    for part in (*_beside(shells[:BESIDE], capture), *_settings(guide), *_windows(shells[BESIDE:])):
        words += [";", *part]
    return tuple(words)


@dataclass(frozen=True)
class Call:
    """How the panes call labctl on this instance."""

    labctl: tuple[str, ...]
    instance: str
    language: str

    def words(self, *words: str) -> str:
        return shlex.join((*self.labctl, *words, "--lang", self.language))

    def again(self, question: str, *words: str) -> str:
        """What is begun again by the Enter key: after a reset of the node, say."""
        script = AGAIN.format(command=self.words(*words, "--instance", self.instance), question=shlex.quote(question))
        return shlex.join(("exec", "sh", "-c", script))  # tmux has the person's own shell run it, whichever that is


def wires_for(record: InstanceRecord) -> tuple[str, ...]:
    """Every cable of a small lab; of a larger one those of the first nodes."""
    if len(record.cables) <= MOST_WIRES:
        return ("all",) if record.cables else ()
    first = {node.name for node in record.nodes[:BESIDE]}
    return tuple(a if a.partition(":")[0] in first else b for a, b in record.cables if {a.partition(":")[0], b.partition(":")[0]} & first)


def _beside(shells: Sequence[Pane], capture: Pane) -> list[list[str]]:
    """The right half: shells above, the capture below."""
    parts = [["split-window", "-h", "-l", "58%", shells[0].command], ["select-pane", "-T", shells[0].title]]
    for pane, share in ((capture, "35%"), *((shell, "50%") for shell in shells[1:])):
        parts += [["split-window", "-v", "-l", share, "-t", ":.1", pane.command], ["select-pane", "-T", pane.title]]
    return parts


def _settings(guide: Pane) -> list[list[str]]:
    return [
        ["select-pane", "-t", ":.0", "-T", guide.title],
        ["select-pane", "-t", ":.1"],
        ["set-option", "-g", "destroy-unattached", "on"],
        ["set-option", "-g", "mouse", "on"],
        ["set-option", "-g", "allow-rename", "off"],
        ["set-option", "-g", "pane-border-status", "top"],
        ["set-option", "-g", "pane-border-format", " #{pane_title} "],
        ["set-option", "-g", "status-right", ""],
    ]


def _windows(shells: Sequence[Pane]) -> list[list[str]]:
    return [["new-window", "-d", "-n", shell.title, shell.command] for shell in shells]
