"""A tar of a tree written into an ext4 image by debugfs(8), so that no file system of a layer is ever mounted.

Owns the running of debugfs, and the look of e2fsck(8) at the result. Which commands it gets is image_difference's.
"""

import dataclasses
import shutil
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from labctl.errors import StepError
from labctl.host.image_difference import Change, attributes_of, change_of, complaints_of, render_debugfs
from labctl.host.run import run

WRITE_S = 1800.0


def write_tree(build: Path, raw: Path, archive: Path, before: Mapping[str, str], removed: Iterable[str] = (), *, below: str = "") -> None:
    """Write the members of `archive` into the raw image in `build`, each below the directory `below` of it. `before` and `removed` are as
    in `render_debugfs`. `StepError` with what debugfs complained of."""
    content = build / "content"
    content.mkdir()
    commands = build / "commands"
    commands.write_text(render_debugfs(before, removed, unpack_tree(archive, content, below)), errors="surrogateescape")
    result = run(["debugfs", "-w", "-f", "commands", raw.name], timeout_s=WRITE_S, cwd=build)
    if complaints := complaints_of(result.stderr.decode(errors="replace")):
        raise StepError("the packages' files could not be written into the image", why="; ".join(complaints[:5]))
    run(["e2fsck", "-f", "-n", raw.name], timeout_s=WRITE_S, cwd=build)
    shutil.rmtree(content)
    commands.unlink()


def unpack_tree(archive: Path, content: Path, below: str = "") -> list[Change]:
    """The members of a tar as changes; contents of files and attributes go to numbered files in `content`, named as debugfs finds them."""
    changes = []
    with tarfile.open(archive) as tar:
        for number, member in enumerate(tar):
            source = f"{content.name}/{number}"
            attributes = {}
            if member.isreg():
                file = tar.extractfile(member)
                assert file is not None, member.name
                with (content / str(number)).open("wb") as target:
                    shutil.copyfileobj(file, target, 1 << 20)
            for order, (name, value) in enumerate(attributes_of(member).items()):
                (content / f"{number}.{order}").write_bytes(value)
                attributes[name] = f"{source}.{order}"
            changes.append(_moved(change_of(member, source, attributes), below))
    return changes


def _moved(change: Change, below: str) -> Change:
    if not below:
        return change
    return dataclasses.replace(
        change, path=below if change.path == "/." else below + change.path, twin=below + change.twin if change.twin else ""
    )
