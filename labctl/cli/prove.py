"""`prove`: labs brought up, verified, self-tested and taken down, one after the other; the report for people, programs and CI services."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli import complete
from labctl.cli.app import LESSON, verb
from labctl.cli.labs import try_to_write, write_file
from labctl.cli.options import JsonOption
from labctl.cli.progress import progress
from labctl.cli.reader import Reader, duration
from labctl.errors import UsageError

if TYPE_CHECKING:
    from labctl.engine.prove import LabProof, ProveReport

PROVE_SHAPE = """{"labs": [{"lab": "l2-switch", "outcome": "proven", "error": "", "accelerator": "kvm", "seconds": 300.5,
  "verify": [{}], "selftest": [{}]}], "seconds": 300.5}"""
PROVEN = {"proven": (("proven", "証明済み"), "green"), "red": (("RED", "不合格"), "red"), "not run": (("not run", "未実行"), "yellow")}


@verb(
    "prove",
    LESSON,
    "labctl prove l2-switch",
    "labctl prove --all --shard 1/2 --budget 45m --junit labs.xml --artifacts red",
    shape=PROVE_SHAPE,
)
def prove(
    reader: Reader,
    labs: Annotated[list[str] | None, typer.Argument(metavar="LAB", help="Labs to prove.", autocompletion=complete.labs)] = None,
    all_: Annotated[bool, typer.Option("--all", help="All labs that come with labctl.")] = False,
    shard: Annotated[str | None, typer.Option("--shard", metavar="N/M", help="Only every Mth lab, from the Nth on.")] = None,
    budget: Annotated[str | None, typer.Option("--budget", metavar="TIME", help="Begin no lab after so long, as in 45m.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML.")] = None,
    artifacts: Annotated[Path | None, typer.Option("--artifacts", metavar="DIR", help="Keep captures and logs of red labs here.")] = None,
    json: JsonOption = False,
) -> int:
    """Prove whole labs: up, verify, selftest, down.

    For machines that do it each night; a red lab does not stop the others. Exit status 1 if a lab is red, 4 if this machine is not able.
    """
    from labctl.engine import prove as proving

    files = _labs_to_prove(labs or [], all_, shard)
    if junit is not None:
        try_to_write(junit)
    if artifacts is not None:
        _make_directory(artifacts)
    with progress(reader) as report:
        result = proving.prove(files, budget_s=seconds_of(budget), artifacts=artifacts, report=report)
    if artifacts is not None:
        proving.forget_green(result, artifacts)
    if junit is not None:
        write_file(junit, proving.junit(result, reader.language))
    if json:
        reader.data(proofs_json(result))
    else:
        print_proofs(reader, result)
    return result.exit_code


def _labs_to_prove(words: list[str], all_: bool, shard: str | None) -> tuple[Path, ...]:
    from labctl.engine.prove import shard as shard_of
    from labctl.lab.load import find_lab, shipped_labs

    if bool(words) == all_:
        raise UsageError("say which labs", hint="labctl prove LAB …, or labctl prove --all")
    files = shipped_labs() if all_ else tuple(find_lab(word) for word in words)
    return shard_of(files, shard) if shard else files


def _make_directory(place: Path) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"no directory {place} can be made", why=error.strerror or str(error)) from error


def seconds_of(budget: str | None) -> float | None:
    """`45m` → 2700.0; s, m and h."""
    if budget is None:
        return None
    number, unit = budget[:-1], budget[-1:]
    if not number.isdigit() or unit not in "smh" or not unit:
        raise UsageError(f"'{budget}' is no time", hint="as in 90s, 45m or 2h")
    return float(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def print_proofs(reader: Reader, report: "ProveReport") -> None:
    """One line for each lab, and for a red one why."""
    accelerators = ", ".join(dict.fromkeys(lab.accelerator for lab in report.labs if lab.accelerator)) or reader.choose(
        "none was needed", "なし"
    )
    reader.say(reader.choose(f"accelerator: {accelerators}", f"アクセラレーター: {accelerators}"))
    for lab in report.labs:
        word, colour = PROVEN[lab.outcome.value]
        score = f"{min(one.score for one in lab.proven):.0%}" if lab.proven else "-"
        reader.say(f"{reader.paint(reader.choose(*word), colour)}  {lab.lab}  {score}  {duration(lab.seconds)}")
        for line in _why_red(reader, lab):
            reader.say(f"    {line}")
    reader.say(f"{reader.choose(f'{len(report.labs)} labs', f'ラボ {len(report.labs)} 件')} ({duration(report.seconds)})")


def _why_red(reader: Reader, lab: "LabProof") -> list[str]:
    lines = lab.error.splitlines()
    for verified in lab.verified:
        lines += [f"{check.id}: {check.in_words}" for check in verified.checks if not check.passed and not check.open_task]
    return [*lines, *(problem.in_language(reader.language) for proof in lab.proven for problem in proof.problems)]


def proofs_json(report: "ProveReport") -> dict[str, Any]:
    from labctl.check.report import selftest_json, verify_json

    labs = [
        {
            "lab": lab.lab,
            "outcome": lab.outcome.value,
            "error": lab.error,
            "accelerator": lab.accelerator,
            "seconds": round(lab.seconds, 2),
            "verify": [verify_json(one) for one in lab.verified],
            "selftest": [selftest_json(one) for one in lab.proven],
        }
        for lab in report.labs
    ]
    return {"labs": labs, "seconds": round(report.seconds, 2)}
