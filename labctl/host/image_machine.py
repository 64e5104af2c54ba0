"""A node's own files and commands as scripts for a machine without network: what becomes a layer on top of its packages. Pure.

The lab's author may be a stranger, so nothing of it is carried out on the host: the engine starts a machine on the layer's disk
and runs these scripts in it, in order, as root.
"""

import base64
from collections.abc import Iterator
from pathlib import PurePosixPath
from shlex import quote

from labctl.errors import StepError
from labctl.host.image_recipe import LayerFile, MachineRecipe

PIECE = 1 << 20  # bytes of a file that one script carries; a request to the guest agent has at most 4 MiB
CLOSING = "rm -rf /tmp/* /var/tmp/* /root/.bash_history; find /var/log -type f -exec truncate -s 0 {} +; sync"


def render_scripts(recipe: MachineRecipe) -> tuple[str, ...]:
    """Scripts for `sh -e`; each must end with status 0."""
    files = [script for file in recipe.files for script in _file_scripts(file)]
    return (*files, *(f"cd /root\n{command}\n" for command in recipe.run), CLOSING)


def _file_scripts(file: LayerFile) -> Iterator[str]:
    path = PurePosixPath(file.path)
    if not path.is_absolute() or ".." in path.parts or "\0" in file.path:
        raise StepError(f"a node's file has an impossible path: {file.path!r}", hint="say an absolute path without ..")
    place = quote(str(path))
    yield f"mkdir -p {quote(str(path.parent))}\nrm -f {place}\n: >{place}\nchmod {file.mode:04o} {place}\n"
    for start in range(0, len(file.content), PIECE):
        piece = base64.encodebytes(file.content[start : start + PIECE]).decode()
        yield f"base64 -d >>{place} <<'END'\n{piece}END\n"
