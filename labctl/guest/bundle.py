"""Files and a script as one input for one program: a whole step of provisioning in one round trip of the agent.

Owns how files travel, which of them are written, and what a script is told: LABCTL_FIRST, and LABCTL_BEFORE, a directory with what the
files that changed were before. Nothing of it stays in the node. The program is `guest/worker`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from labctl.errors import StepError
from labctl.guest.agent import MAX_SCRIPT
from labctl.guest.worker import PROGRAM

ARGV = (*PROGRAM, "step")  # reads its standard input


@dataclass(frozen=True)
class GuestFile:
    """A file to be put into a node, root's."""

    path: str
    content: bytes
    mode: int = 0o644


def render_bundle(what: str, files: Sequence[GuestFile], script: str, *, first: bool, removed: Sequence[str] = ()) -> bytes:
    """What `ARGV` reads, to put `files` in their places, take `removed` away and then run `script`. `what` names it, if it is too large.

    `first`: all files count as changed; otherwise those whose content differs from what lies in the node. Each part is a line of kind,
    mode (octal), length in bytes and path, and its bytes.
    """
    parts = [_part("first")] if first else []
    parts += [_part("file", file.path, file.content, file.mode) for file in files]
    parts += [_part("gone", path) for path in removed]
    data = b"".join((*parts, _part("script", content=script.encode())))
    if len(data) > MAX_SCRIPT:
        largest = max(files, key=lambda file: len(file.content)).path if files else "its script"
        raise StepError(
            f"{what}: {len(data):,} bytes are too many for one step",
            why=f"at most {MAX_SCRIPT:,} travel to a node at once; the largest file is {largest}",
            hint="a file that is no template becomes part of the node's image and may be larger",
        )
    return data


def _part(kind: str, path: str = "-", content: bytes = b"", mode: int = 0) -> bytes:
    return f"{kind} {mode:o} {len(content)} {path}\n".encode() + content
