"""`image`: layers listed, built, removed, taken to another machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import complete
from labctl.cli.app import MACHINE, app, new_group, verb
from labctl.cli.labs import load, try_to_write
from labctl.cli.options import JsonOption
from labctl.cli.progress import progress
from labctl.cli.reader import Reader, size
from labctl.errors import StepError

if TYPE_CHECKING:
    from labctl.engine.images import ImageRow

IMAGE_SHAPE = """[{"recipe": "0f3a…", "content": "9c1e…", "title": "base", "size_bytes": 385000000,
  "built": "2026-11-24T15:00:00Z", "parent": "",
  "place": "/…/images/0f3a…", "shared": false, "usable": true, "used_by": ["l2-switch"], "damage": []}]"""
SHOWN = 12  # of a digest
image = new_group("Image layers: ls, build, rm, prune, export, import, key.")
app.add_typer(image, name="image", rich_help_panel=MACHINE)

LabsArgument = Annotated[list[str] | None, typer.Argument(metavar="LAB", help="Labs whose layers are meant.", autocompletion=complete.labs)]


@verb("image ls", MACHINE, "labctl image ls", "labctl image ls --verify", group=image, shape=IMAGE_SHAPE)
def image_ls(
    reader: Reader,
    verify: Annotated[bool, typer.Option("--verify", help="Read every file and compare its digest.")] = False,
    json: JsonOption = False,
) -> int:
    """List layers: size, age, which labs use them."""
    from dataclasses import asdict

    from labctl.engine.images import list_images

    rows = list_images(verify=verify)
    if json:
        reader.data([asdict(row) for row in rows])
    else:
        reader.table([_row(reader, row) for row in rows], heading=("LAYER", "SIZE", "BUILT", "USED BY", "WHAT"))
        reader.remark(f"{len(rows)} layers, {size(sum(row.size_bytes for row in rows))}")
        for row in rows:
            for damage in row.damage:
                reader.complain(f"{row.recipe[:SHOWN]}: {damage}")
    return StepError.exit_code if any(row.damage for row in rows) else 0


def _row(reader: Reader, row: "ImageRow") -> tuple[str, ...]:
    where = " (shared)" if row.shared else ""
    broken = "" if row.usable else reader.paint(" (not usable: a layer below is missing)", "red")
    return row.recipe[:SHOWN], size(row.size_bytes), row.built[:10], ", ".join(row.used_by) or "-", row.title + where + broken


@verb("image build", MACHINE, "labctl image build", "labctl image build l2-switch static-routing", group=image)
def image_build(
    reader: Reader,
    labs: LabsArgument = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="A new base image from today's packages.")] = False,
) -> None:
    """Build what is missing: the base, and the layers of the labs named."""
    from labctl.engine.images import build_layers, image_store

    with progress(reader) as report:
        built = build_layers(image_store(), [load(lab) for lab in labs or ()], report, fresh=fresh)
    reader.remark(f"built: {', '.join(built)}" if built else "nothing was missing")


@verb("image rm", MACHINE, "labctl image rm 0f3a9c1e22d4", group=image)
def image_rm(
    reader: Reader, layers: Annotated[list[str], typer.Argument(metavar="LAYER", help="Beginnings of digests, as image ls shows them.")]
) -> None:
    """Remove layers that nothing uses."""
    from labctl.engine.images import remove_image

    removed = remove_image(layers)
    _tell_removed(reader, removed.titles, removed.size_bytes)


@verb("image prune", MACHINE, "labctl image prune", "labctl image prune --all", group=image)
def image_prune(
    reader: Reader, all_: Annotated[bool, typer.Option("--all", help="Also what the next up would need again.")] = False
) -> None:
    """Remove layers that are out of date and that no lab uses."""
    from labctl.engine.images import prune_images

    removed = prune_images(everything=all_)
    _tell_removed(reader, removed.titles, removed.size_bytes)


def _tell_removed(reader: Reader, titles: tuple[str, ...], size_bytes: int) -> None:
    for title in titles:
        reader.say(f"removed {title}")
    reader.remark(f"{size(size_bytes)} are free again" if titles else "nothing to remove")


@verb("image export", MACHINE, "labctl image export class.tar.zst l2-switch static-routing", group=image)
def image_export(
    reader: Reader,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A tar; compressed if its name ends in .zst.")],
    labs: LabsArgument = None,
) -> None:
    """Write layers to a file, for machines without network."""
    from labctl.engine.images import export_images

    try_to_write(file)
    with progress(reader) as report:
        count = export_images(file, [load(lab) for lab in labs or ()], report)
    reader.remark(f"written: {file}, {count} {'layer' if count == 1 else 'layers'}, {size(file.stat().st_size)}")


@verb("image key", MACHINE, "labctl image key", "labctl image key --saved", group=image)
def image_key(
    reader: Reader,
    saved: Annotated[bool, typer.Option("--saved", help="Of saved machines too, which only such a machine can start.")] = False,
) -> None:
    """Print a key for a CI service's cache of ~/.cache/labctl: another key means that what is in the cache would be built again.

    Image layers fit every machine. Saved machines fit the same QEMU and accelerator; under KVM also the same processor.
    """
    from labctl.engine.images import cache_key

    reader.say(cache_key(saved=saved))


@verb("image import", MACHINE, "labctl image import class.tar.zst", group=image)
def image_import(reader: Reader, file: Annotated[Path, typer.Argument(metavar="FILE", help="What image export wrote.")]) -> None:
    """Take layers in from a file; every digest is verified."""
    from labctl.engine.images import import_images

    with progress(reader) as report:
        new = import_images(file, report)
    reader.remark(f"new: {', '.join(new)}" if new else "all of it was here already")
