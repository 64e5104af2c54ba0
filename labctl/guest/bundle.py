"""Files and a script as one shell script: a whole step of provisioning in one round trip of the agent.

Owns how files travel (a tar archive, compressed, in base64), which of them are written, and what a script is told: LABCTL_FIRST, and
LABCTL_BEFORE, a directory with what the files that changed were before. Nothing of it stays in the node.
"""

import base64
import gzip
import hashlib
import io
import shlex
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from labctl.errors import StepError
from labctl.guest.agent import MAX_SCRIPT


@dataclass(frozen=True)
class GuestFile:
    """A file to be put into a node, root's."""

    path: str
    content: bytes
    mode: int = 0o644

    @property
    def member(self) -> str:
        return f".{self.path}"


# The whole is one function: sh has read all of it before its first command runs, so no command can eat the rest from standard input.
# Few programs are started, whatever the number of files: under emulation each costs 50 ms.
FRAME = """\
set -eu
main() {{
  umask 022
  cd /
  work=$(mktemp -d /run/step.XXXXXX)
  trap 'rm -rf "$work"' EXIT
  export LABCTL_FIRST={first} LABCTL_BEFORE="$work/before"
  mkdir "$LABCTL_BEFORE"
  base64 -d >"$work/archive" <<'END'
{archive}
END
{changed}
  keep <"$work/changed"
  [ ! -s "$work/changed" ] || tar -xpzf "$work/archive" -T "$work/changed"
{rest}
  (
{script}
  )
  sync
}}
keep() {{ # what the listed files are now; an empty file for one that is not there
  while read -r path; do
    if [ -e "$path" ]; then set -- "$@" "$path"; continue; fi
    directory=$LABCTL_BEFORE/${{path%/*}}
    [ -d "$directory" ] || mkdir -p "$directory"
    : >"$LABCTL_BEFORE/$path"
  done
  [ $# = 0 ] || cp --parents --preserve=mode "$@" "$LABCTL_BEFORE"
}}
main </dev/null
"""
ALL_CHANGED = """\
  cat >"$work/changed" <<'END'
{names}
END"""
SOME_CHANGED = """\
  sha256sum --check --quiet 2>/dev/null <<'END' | sed -n 's/: FAILED.*$//p' >"$work/changed"
{sums}
END"""


def render_bundle(what: str, files: Sequence[GuestFile], script: str, *, first: bool, removed: Sequence[str] = ()) -> str:
    """A script that puts `files` in their places, takes `removed` away and then runs `script`. `what` names it, should it be too large.

    `first`: all files count as changed; otherwise those whose content differs from what lies in the node.
    """
    text = FRAME.format(
        first=int(first),
        archive=base64.encodebytes(_archive(files)).decode().rstrip("\n"),
        changed=_changed(files, first),
        rest="\n".join([*_remove(removed), *([] if first else _modes(files))]),
        script=script,
    )
    if len(text) > MAX_SCRIPT:
        largest = max(files, key=lambda file: len(file.content)).path if files else "its script"
        raise StepError(
            f"{what}: {len(text):,} bytes are too many for one step",
            why=f"at most {MAX_SCRIPT:,} travel to a node at once, compressed; the largest file is {largest}",
            hint="a file that is no template becomes part of the node's image and may be larger",
        )
    return text


def _archive(files: Sequence[GuestFile]) -> bytes:
    """A compressed tar archive of the files: the same input gives the same bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for file in files:
            member = tarfile.TarInfo(file.member)
            member.size, member.mode, member.uname, member.gname = len(file.content), file.mode, "root", "root"
            tar.addfile(member, io.BytesIO(file.content))
    return gzip.compress(packed.getvalue(), mtime=0)


def _changed(files: Sequence[GuestFile], first: bool) -> str:
    if not files:
        return '  : >"$work/changed"'
    if first:
        return ALL_CHANGED.format(names="\n".join(file.member for file in files))
    return SOME_CHANGED.format(sums="\n".join(f"{hashlib.sha256(file.content).hexdigest()}  {file.member}" for file in files))


def _modes(files: Sequence[GuestFile]) -> list[str]:
    """A file whose content stays may have another mode now."""
    ordered = sorted(files, key=lambda file: (file.mode, file.path))
    return [f"  chmod {mode:04o} {_words([file.member for file in same])}" for mode, same in groupby(ordered, key=lambda file: file.mode)]


def _remove(paths: Sequence[str]) -> list[str]:
    if not paths:
        return []
    names = _words([f".{path}" for path in paths])
    return [f"  printf '%s\\n' {names} >\"$work/gone\"", '  keep <"$work/gone"', f"  rm -f {names}"]


def _words(names: Sequence[str]) -> str:
    return " ".join(shlex.quote(name) for name in names)
