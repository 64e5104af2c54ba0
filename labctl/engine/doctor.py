"""`doctor`: every probe of this machine in one examination, and the mending of what can be mended.

    examine()  →  Examination(findings, accelerator, able)        mend(examination, run)  →  the commands that were carried out

Owns which findings make a machine able to start a lab, and how root examines for the user that labs run as. The probes are in
`host/`; asking, showing and printing are the door's.
"""

import json
import os
import pwd
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from labctl.errors import CommandError, HostError, LabError, StepError
from labctl.host import account, kernel_features, machine, software, start_trial
from labctl.host.accelerator import Accelerator, prove_accelerator
from labctl.host.finding import Argv, Finding, State
from labctl.host.places import cache_directory, extra_images_directory, images_directory, state_directory
from labctl.host.run import clean_environment, run
from labctl.lab.data import TEMPLATES

BootFiles = tuple[Path, Path]  # kernel, initrd
FORMAT = 1


@dataclass(frozen=True)
class Examination:
    """What was found. `accelerator` is None as long as there is no image to prove it with."""

    findings: tuple[Finding, ...]
    accelerator: Accelerator | None = None

    @property
    def able(self) -> bool:
        """Whether a lab can start: an accelerator not proven yet is no failure."""
        return all(finding.state is not State.FAIL for finding in self.findings)

    def as_data(self) -> dict[str, Any]:
        """For `doctor --json`: able, accelerator (kind, why, time_scale, or null) and findings in the order of the report."""
        accelerator = asdict(self.accelerator) if self.accelerator else None
        return {"format": FORMAT, "able": self.able, "accelerator": accelerator, "findings": [asdict(finding) for finding in self.findings]}


def examination_of(data: dict[str, Any]) -> Examination:
    """The inverse of `as_data`."""
    findings = (Finding(**found) for found in data["findings"])
    typed = (replace(one, state=State(one.state), fix=tuple(tuple(argv) for argv in one.fix)) for one in findings)
    return Examination(tuple(typed), Accelerator(**data["accelerator"]) if data["accelerator"] else None)


def examine(boot_files: BootFiles | None = None) -> Examination:
    """Probe this machine for the user who asks (about half a second; a first accelerator proof some seconds). Changes nothing.

    `boot_files`: what to prove the accelerator with; the base image's if nothing is said and there is one.
    """
    accelerator, proof = _examine_accelerator(boot_files)
    return Examination((*_probes(), proof), accelerator)


def base_boot_files() -> BootFiles | None:
    """Kernel and initrd of this user's base image, if it has been made."""
    from labctl.host.images import ImageStore  # not needed by a reader of an Examination

    base = ImageStore(images_directory(), TEMPLATES / "base", extra_images_directory()).find_base()
    return (base.kernel, base.initrd) if base else None


def examine_for(user: str) -> Examination:
    """Root's way: the same examination made by a process of `user`, since what counts is what that user may do."""
    try:
        home = pwd.getpwnam(user).pw_dir
    except KeyError as unknown:
        raise HostError(f"there is no user {user}", hint=f"useradd --create-home {user}") from unknown
    program = "import sys; from labctl.engine.doctor import examine_as_text; sys.stdout.write(examine_as_text())"
    environment = {"HOME": home, "USER": user, "LOGNAME": user, "PYTHONPATH": str(Path(__file__).parents[2])}
    environment = {name: value for name, value in clean_environment(environment).items() if name != "XDG_RUNTIME_DIR"}
    argv = ("runuser", "-u", user, "--", sys.executable, "-c", program)
    try:
        return examination_of(json.loads(run(argv, timeout_s=60, env=environment, cwd=Path("/")).text))
    except CommandError as failed:
        raise HostError(f"{user} cannot run labctl", why=failed.why, hint=f"{sys.executable} must be readable by {user}") from failed


def examine_as_text() -> str:
    """JSON of an examination: what the process that `examine_for` starts says."""
    return json.dumps(examine().as_data())


def _probes() -> Iterator[Finding]:
    """In the order of the report: who, where, hardware, programs, kernel."""
    who = account.this_account()
    family = software.distribution()
    state = state_directory()
    yield account.probe_account(who)
    yield from _guarded("surroundings", lambda: (machine.probe_surroundings(os.environ),))
    yield from _guarded("cpu", lambda: (machine.probe_processor(),))
    yield from _guarded("kvm-device", lambda: (machine.probe_kvm(who.name, who.groups),))
    yield from _guarded("tun-device", lambda: (machine.probe_tun(),))
    yield from _guarded("memory", lambda: (machine.probe_memory(machine.available_memory_mib()),))
    yield from _guarded("disk-state", lambda: (machine.probe_disk("disk-state", state, "instances"),))
    yield from _guarded("disk-cache", lambda: (machine.probe_disk("disk-cache", cache_directory(), "images"),))
    yield from _guarded("filesystem-state", lambda: (machine.probe_filesystem("filesystem-state", state, "instances"),))
    yield from _guarded("filesystem-cache", lambda: (machine.probe_filesystem("filesystem-cache", cache_directory(), "images"),))
    yield from _guarded("programs", lambda: (software.probe_programs(software.load_packages(), family),))
    yield from _guarded("qemu", lambda: (software.probe_qemu(),))
    yield from _guarded("libvirt", lambda: (software.probe_libvirt(),))
    yield from _guarded("libvirt-python", lambda: (software.probe_libvirt_module(family),))
    yield from _guarded("subordinate-ids", lambda: (account.probe_subordinate_ids(who),))
    yield from _guarded("sockets", lambda: (machine.probe_sockets(_made(state)),))
    yield from _guarded("start", lambda: (start_trial.probe_start(cache_directory()),))
    yield from _guarded("namespaces", lambda: kernel_features.probe_instance(_made(state)))


def _guarded(id: str, probe: Callable[[], tuple[Finding, ...]]) -> tuple[Finding, ...]:
    """A probe that this machine trips up is a finding too, and the others go on."""
    try:
        return probe()
    except (OSError, LabError) as error:
        return (Finding(id, State.FAIL, f"{id} cannot be examined", str(error)),)


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _examine_accelerator(boot_files: BootFiles | None) -> tuple[Accelerator | None, Finding]:
    try:
        boot_files = boot_files or base_boot_files()
        if boot_files is None:
            why = "only a boot of the real image's kernel proves it, and there is no image yet"
            return None, Finding("accelerator", State.UNPROVEN, "the accelerator is not proven yet", why, "labctl image build")
        found = prove_accelerator(*boot_files, cache=cache_directory())
    except LabError as error:
        return None, Finding("accelerator", State.UNPROVEN, "the accelerator cannot be proven", str(error), error.hint)
    if found.kind == "kvm":
        return found, Finding("accelerator", State.OK, f"KVM runs code: {found.why}")
    why = f"{found.why}; time-outs are {found.time_scale:g} times longer"
    return found, Finding("accelerator", State.WARN, "nodes run by software emulation (TCG)", why, "see `cpu` and `kvm-device`")


def plan_mending(examination: Examination) -> tuple[Argv, ...]:
    """The commands that mend what can be mended, each once, in order. Pure."""
    return tuple(dict.fromkeys(argv for finding in examination.findings for argv in finding.fix))


def mend(examination: Examination, run: Callable[[Argv], object]) -> tuple[str, ...]:
    """Carry out every fix through `run`, by sudo where this is not root; what was done, ready to paste.

    `run` shows the command, gives it the terminal (sudo may ask) and raises a LabError if it fails. The others are still carried
    out; `StepError` at the end names those that failed.
    """
    commands = plan_mending(examination)
    prefix = () if os.geteuid() == 0 else ("sudo",)
    if commands and prefix and shutil.which("sudo") is None:
        lines = "; ".join(shlex.join(argv) for argv in commands)
        raise HostError("mending needs root, and there is no sudo here", hint=f"type as root: {lines}")
    done, failed = [], []
    for argv in commands:
        try:
            run((*prefix, *argv))
            done.append(shlex.join(argv))
        except (LabError, OSError) as error:
            failed.append(f"{shlex.join(argv)}: {error}")
    if failed:
        raise StepError(f"{len(failed)} of {len(commands)} changes failed", why="; ".join(failed), hint="labctl doctor says what is left")
    return tuple(done)
