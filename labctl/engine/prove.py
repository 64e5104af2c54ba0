"""`prove`: what a CI runner calls each night: every lab up, verified, its checks proven, down; on after a failure; a report of all.

Owns the order, the budget, the shards, and what is kept of a red lab. "This host is not able" is told apart from a failed lesson: it ends
the run with status 4 and no lab is called red for it.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from labctl.check.junit import Case, Suite, render_junit, selftest_suite, verify_suite
from labctl.check.proof import SelftestReport
from labctl.check.verdict import VerifyReport
from labctl.engine import at_work
from labctl.engine.capture import capture_all
from labctl.engine.down import down
from labctl.engine.events import Event, Reporter, step
from labctl.engine.instances import InstanceRecord, find_instance, list_instances
from labctl.engine.up import UpOptions, up
from labctl.errors import HostError, LabError, UsageError
from labctl.lab.load import load_lab


class Outcome(StrEnum):
    PROVEN = "proven"
    RED = "red"
    NOT_RUN = "not run"  # the budget was used up


@dataclass(frozen=True)
class LabProof:
    """One lab of a run. `error` says what kept it from being looked at; the reports are those that came about."""

    lab: str
    outcome: Outcome
    verified: tuple[VerifyReport, ...]
    proven: tuple[SelftestReport, ...]
    error: str
    seconds: float
    accelerator: str


@dataclass(frozen=True)
class ProveReport:
    labs: tuple[LabProof, ...]
    seconds: float

    @property
    def exit_code(self) -> int:
        return 1 if any(lab.outcome is Outcome.RED for lab in self.labs) else 0


def shard(labs: Sequence[Path], which: str) -> tuple[Path, ...]:
    """The labs of shard `2/4`: every fourth from the second on, so that each lab is in exactly one. `UsageError` for another form."""
    number, slash, count = which.partition("/")
    if not (slash and number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise UsageError(f"'{which}' is no shard", hint="as in --shard 2/4")
    return tuple(labs[int(number) - 1 :: int(count)])


def prove(labs: Sequence[Path], *, budget_s: float | None, artifacts: Path | None, report: Reporter) -> ProveReport:
    """Prove each lab of these files. `HostError` as soon as this machine turns out not to be able; `UsageError` for two of one name."""
    began = time.monotonic()
    done: list[LabProof] = []
    for lab, file in _by_name(labs).items():
        if budget_s is not None and time.monotonic() - began > budget_s:
            done.append(LabProof(lab, Outcome.NOT_RUN, (), (), "the budget was used up", 0.0, ""))
            continue
        done.append(_prove_lab(lab, file, artifacts, report))
    return ProveReport(tuple(done), time.monotonic() - began)


def _by_name(labs: Sequence[Path]) -> dict[str, Path]:
    """Lab → its file: the name in the file, since directories may share theirs or have none that can be an instance's."""
    found: dict[str, Path] = {}
    for file in labs:
        name = _name_of(file)
        if name in found:
            why = f"{found[name]} and {file}: a run keeps what a red lab leaves by the lab's name"
            raise UsageError(f"two labs are called {name}", why=why, hint="name each lab once, or prove them in two runs")
        found[name] = file
    return found


def _name_of(file: Path) -> str:
    """The lab's own name; the directory's for a file that cannot be loaded, which its proof then tells."""
    try:
        return load_lab(file).name
    except LabError:
        return file.absolute().parent.name


def _prove_lab(lab: str, file: Path, artifacts: Path | None, report: Reporter) -> LabProof:
    began = time.monotonic()
    name = f"prove-{lab}"
    verified: tuple[VerifyReport, ...] = ()
    proven: tuple[SelftestReport, ...] = ()
    error, accelerator = "", ""
    with step(report, f"prove {lab}"):
        try:
            record = up(load_lab(file), instance=name, options=UpOptions(), report=report).record
            accelerator = record.accelerator
            with _wires_kept(record, artifacts, lab):
                verified = at_work.verify(record, (), None, report)
                proven = at_work.selftest(record, (), None, report)
        except HostError:
            raise
        except LabError as failed:
            error = "\n".join(part for part in (str(failed), failed.hint) if part)
            report(Event("warning", f"{lab}: {error}"))
        finally:
            green = not error and not any(one.exit_code for one in verified) and not any(one.exit_code for one in proven)
            _end(name, None if green else artifacts, lab, report)
    outcome = Outcome.PROVEN if green else Outcome.RED
    return LabProof(lab, outcome, verified, proven, error, time.monotonic() - began, accelerator)


@contextmanager
def _wires_kept(record: InstanceRecord, artifacts: Path | None, lab: str) -> Iterator[None]:
    """Every wire is captured while the block runs, if artifacts are wanted: afterwards is too late to know."""
    if artifacts is None:
        yield
        return
    place = artifacts / lab
    place.mkdir(parents=True, exist_ok=True)
    with capture_all(record, place / "wires.pcapng"):
        yield


def _end(instance: str, artifacts: Path | None, lab: str, report: Reporter) -> None:
    """Take the instance down; of a red lab its logs are kept first, of a green one nothing is."""
    if instance not in {record.id for record in list_instances()}:
        return
    record = find_instance(instance=instance)
    if artifacts is not None:
        keep_evidence(record, artifacts / lab)
    down(record, report)


def keep_evidence(record: InstanceRecord, place: Path) -> None:
    """Copy serial logs, the agents' transcript, the journal and the record to `place`."""
    place.mkdir(parents=True, exist_ok=True)
    for name in ("journal.jsonl", "instance.json"):
        with suppress(OSError):
            shutil.copy2(record.directory / name, place / name)
    shutil.copytree(record.directory / "log", place / "log", dirs_exist_ok=True)


def forget_green(report: ProveReport, artifacts: Path) -> None:
    """Remove the captures of labs that are proven: artifacts are for the red ones."""
    for lab in report.labs:
        if lab.outcome is Outcome.PROVEN:
            shutil.rmtree(artifacts / lab.lab, ignore_errors=True)


def junit(report: ProveReport, language: str) -> str:
    """The run as JUnit XML: a suite for each lab's own life, and those of its verify and selftest."""
    suites: list[Suite] = []
    for lab in report.labs:
        outcome = "skipped" if lab.outcome is Outcome.NOT_RUN else "error" if lab.error else "passed"
        suites.append(
            Suite(f"{lab.lab}.life", (Case("up and down", outcome, lab.error, lab.seconds),), (("accelerator", lab.accelerator),))
        )
        suites += [verify_suite(one, language) for one in lab.verified]
        suites += [selftest_suite(one, language) for one in lab.proven]
    return render_junit(suites)
