"""Verbs about this machine: doctor (what it is able to do, told and mended), gc (what no lab uses any more) and support (a report)."""

import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli.app import MACHINE, verb
from labctl.cli.labs import try_to_write
from labctl.cli.options import InstanceOption, JsonOption, RunningLabArgument
from labctl.cli.progress import progress
from labctl.cli.reader import Reader, size
from labctl.errors import CommandError, HostError

if TYPE_CHECKING:
    from labctl.engine.doctor import Examination

DOCTOR_SHAPE = """{"format": 1, "able": true, "accelerator": {"kind": "kvm", "why": "…", "time_scale": 1.0},
  "findings": [{"id": "cpu", "state": "ok", "what": "…", "why": "…", "hint": "…", "fix": []}]}"""
GC_SHAPE = """[{"kind": "directory", "name": "…", "path": "/…", "size_bytes": 0}]"""
SUPPORT_SHAPE = """{"file": "/…/labctl-support-20261124-150000.tar.gz", "removed": ["user and real name"],
  "entries": [{"name": "versions.txt", "what": "…", "size_bytes": 400}]}"""
MARKS = {"ok": ("ok", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red"), "unproven": ("?", "yellow")}


@verb("doctor", MACHINE, "labctl doctor", "labctl doctor --fix", needs_user=False, shape=DOCTOR_SHAPE)
def doctor(
    reader: Reader,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended; sudo may ask for your password.")] = False,
    json: JsonOption = False,
) -> int:
    """Examine this machine: can it run labs?

    Each line says what was found, what it means and what to type. Exit status 0 only if a lab can start.
    """
    from labctl.engine.doctor import examine, mend

    found = examine(_boot_files())
    if fix:
        mend(found, lambda argv: _show_and_run(reader, argv))
        found = examine(_boot_files())
    if json:
        reader.data(found.as_data())
    else:
        _print(reader, found)
    return 0 if found.able else HostError.exit_code


def _boot_files() -> "tuple[Path, Path] | None":
    """Kernel and initrd of the base image, with which the accelerator is proven; None as long as there is none."""
    from labctl.engine.images import image_store

    base = image_store().find_base()
    return (base.kernel, base.initrd) if base else None


def _print(reader: Reader, found: "Examination") -> None:
    accelerator = f"{found.accelerator.kind} ({found.accelerator.why})" if found.accelerator else "not proven yet"
    reader.say(f"accelerator: {accelerator}")
    for finding in found.findings:
        word, colour = MARKS[finding.state.value]
        reader.say(f"{reader.paint(word.rjust(4), colour)}  {finding.what}")
        if finding.state.value != "ok":
            for text in (finding.why, finding.hint):
                for line in text.splitlines():
                    reader.say(f"      {line}")
    reader.say()
    reader.say(
        "This machine can run labs." if found.able else "No lab can start here yet: see FAIL above; labctl doctor --fix mends what it can."
    )


def _show_and_run(reader: Reader, argv: tuple[str, ...]) -> None:
    """Each change is shown before it is made; sudo has the terminal."""
    command = shlex.join(argv)
    reader.complain(f"+ {command}")
    ended = subprocess.run(argv, check=False)
    if ended.returncode != 0:
        raise CommandError(f"status {ended.returncode}", command=command, status=ended.returncode)


@verb("gc", MACHINE, "labctl gc --dry-run", "labctl gc --dead", shape=GC_SHAPE)
def gc(
    reader: Reader,
    dead: Annotated[bool, typer.Option("--dead", help="Also instances whose processes are gone; their disks are lost.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would be removed.")] = False,
    json: JsonOption = False,
) -> None:
    """Remove what no lab uses any more."""
    from labctl.engine.gc import collect, find_leftovers

    found = find_leftovers(dead=dead)
    with progress(reader) as report:
        removed = found if dry_run else collect(found, report)
    if json:
        return reader.data([_leftover(one) for one in removed])
    for one in removed:
        reader.say(f"{'would remove' if dry_run else 'removed'} {one.kind} {one.name}, {size(one.size_bytes)}")
    if not removed:
        reader.say("nothing is left over")


def _leftover(one: Any) -> dict[str, Any]:
    return {"kind": one.kind, "name": one.name, "path": str(one.path), "size_bytes": one.size_bytes}


@verb(
    "support",
    MACHINE,
    "labctl support --dry-run",
    "labctl support l2-switch --output report.tar.gz",
    shape=SUPPORT_SHAPE,
)
def support(
    reader: Reader,
    lab: RunningLabArgument = None,
    instance: InstanceOption = None,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Where the archive is written.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only list what would go in.")] = False,
    json: JsonOption = False,
) -> None:
    """Collect what a report of a fault needs, in one archive.

    Versions, doctor's answer, and of each instance (or the one that is named) its record, journal and logs. All of it is listed first.
    Your names, your home directory and this machine's names and addresses are taken out; no keys, disks or memory go in.
    """
    from labctl.engine.doctor import examine
    from labctl.engine.instances import find_instance, list_instances
    from labctl.engine.support import default_file, gather, write

    records = (find_instance(lab, instance),) if lab or instance else list_instances()
    file = Path(output) if output else default_file()
    if not dry_run:
        try_to_write(file)
    bundle = gather(records, lambda: examine(_boot_files()).as_data())
    entries = [{"name": entry.name, "what": entry.what, "size_bytes": entry.size_bytes} for entry in bundle.entries]
    if not json:
        reader.table(
            [(entry.name, size(entry.size_bytes), entry.what) for entry in bundle.entries], heading=("IN THE ARCHIVE", "SIZE", "WHAT")
        )
        reader.remark(f"taken out: {', '.join(bundle.removed)}")
    if not dry_run:
        write(bundle, file)
    if json:
        return reader.data({"file": None if dry_run else str(file.absolute()), "removed": list(bundle.removed), "entries": entries})
    if not dry_run:
        reader.say(f"written: {file}")
        reader.remark("look into it before you give it away; a lab's own texts are in it as they are")
