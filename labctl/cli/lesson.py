"""Verbs of the lesson on a running lab: verify, selftest, break, solve."""

from pathlib import Path
from typing import Annotated

import typer

from labctl.cli import complete
from labctl.cli.app import LESSON, verb
from labctl.cli.choice import choose
from labctl.cli.options import ChecksArgument, InstanceOption, JsonOption
from labctl.cli.progress import progress
from labctl.cli.reader import Reader
from labctl.cli.watching import show_watch
from labctl.errors import UsageError

TEXT = '{"en": "…", "ja": "…"}'
VERIFY_SHAPE = f"""[{{"lab": "l2-switch", "title": {TEXT}, "variant": "default", "accelerator": "kvm", "state": "passed",
  "seconds": 12.3, "count": {{"passed": 9, "failed": 0, "error": 0, "open": 1}},
  "checks": [{{"id": "…", "says": {TEXT}, "proves": ["3-3-5/…"], "task": false, "hint": null, "state": "passed",
    "error": null, "seconds": 1.2,
    "observations": [{{"says": {TEXT}, "witness": false, "state": "passed", "expected": {TEXT}, "seen": {TEXT}}}]}}]}}]"""
SELFTEST_SHAPE = f"""[{{"lab": "l2-switch", "title": {TEXT}, "variant": "default", "accelerator": "kvm", "proven": true, "score": 1.0,
  "killed": 14, "provable": 14, "effective": 18, "sabotages": 18, "seconds": 240.1, "problems": [{TEXT}],
  "checks": [{{"id": "…", "task": false, "problems": [], "observations": [{{"says": {TEXT}, "witness": false, "killed_by": [1]}}],
    "sabotages": [{{"number": 1, "says": {TEXT}, "states": ["failed"], "kills": [1], "all_red": false, "reason": "",
      "put_back_by": {TEXT}, "passes_again": true, "problems": [], "seconds": 4.2}}]}}],
  "put_back": {{}}, "reset": {{}}}}]"""
BREAK_SHAPE = f"""{{"instance": "l2-switch", "seed": 4711, "check": "…", "number": 1, "says": {TEXT}, "nodes": ["sw1"]}}"""

BROKEN_HINT = (
    "labctl break broke this lab: labctl break --reveal tells how, labctl reset heals it.",
    "このラボは labctl break で壊してあります。labctl break --reveal で原因が分かり、labctl reset で元に戻ります。",
)
OneVariantOption = Annotated[
    str | None,
    typer.Option("--variant", metavar="NAME", help="Only this variant; otherwise all of the lab's.", autocompletion=complete.variants),
]


@verb(
    "verify",
    LESSON,
    "labctl verify",
    "labctl verify l2-switch --lang ja",
    "labctl verify l2-switch table-forgets",
    "labctl verify --watch",
    "labctl verify --junit verify.xml",
    shape=VERIFY_SHAPE,
)
def verify(
    reader: Reader,
    checks: ChecksArgument = None,
    variant: OneVariantOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on until Ctrl-C, and show which lesson holds; with --json a line for each change.")
    ] = False,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML too.")] = None,
    instance: InstanceOption = None,
    json: JsonOption = False,
) -> int:
    """Prove what a running lab teaches.

    Each check tells what was expected and what was seen. Exit status 1 if a check failed, 5 if something could not be looked at.
    --watch leaves out checks that run a scenario, unless they are named: a timeline of faults is not for in between.
    """
    from labctl.check.junit import render_junit, verify_suite
    from labctl.check.report import verify_json
    from labctl.cli.labs import try_to_write, write_file
    from labctl.cli.lesson_report import print_verify
    from labctl.engine import at_work

    record, ids = choose(checks, instance)
    if watch:
        if junit is not None or variant is not None:
            raise UsageError("--watch stands alone", why="it looks at the lab as it runs, and ends by Ctrl-C")
        return show_watch(reader, at_work.watch(record, ids), at_work.watched(record, ids), json=json)
    if junit is not None:
        try_to_write(junit)
    with progress(reader) as report:
        reports = at_work.verify(record, ids, variant, report)
    if junit is not None:
        write_file(junit, render_junit([verify_suite(one, reader.language) for one in reports]))
        reader.remark(f"written: {junit}")
    if json:
        reader.data([verify_json(one) for one in reports])
    else:
        for one in reports:
            print_verify(reader, one)
        if record.broken and any(one.exit_code for one in reports):
            reader.remark(reader.choose(*BROKEN_HINT))
    return max((one.exit_code for one in reports), default=0)


@verb("selftest", LESSON, "labctl selftest l2-switch", "labctl selftest l2-switch table-forgets", shape=SELFTEST_SHAPE)
def selftest(
    reader: Reader,
    checks: ChecksArgument = None,
    variant: OneVariantOption = None,
    instance: InstanceOption = None,
    json: JsonOption = False,
) -> int:
    """Prove the checks themselves, by sabotage.

    Each sabotage must make an observation fail, each observation must be failed by one. The lab is put back afterwards.
    """
    from labctl.check.report import selftest_json
    from labctl.cli.lesson_report import print_selftest
    from labctl.engine import at_work

    record, ids = choose(checks, instance)
    with progress(reader) as report:
        reports = at_work.selftest(record, ids, variant, report)
    if json:
        reader.data([selftest_json(one) for one in reports])
    else:
        for one in reports:
            print_selftest(reader, one)
    return max((one.exit_code for one in reports), default=0)


@verb("break", LESSON, "labctl break l2-switch", "labctl break --random --seed 7 --hidden", "labctl break --reveal", shape=BREAK_SHAPE)
def break_(
    reader: Reader,
    checks: ChecksArgument = None,
    random: Annotated[bool, typer.Option("--random", help="Any sabotage of the lab; what happens without CHECK.")] = False,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="The same number breaks the same thing.")] = None,
    hidden: Annotated[bool, typer.Option("--hidden", help="Do not even name the check that turns red.")] = False,
    reveal: Annotated[bool, typer.Option("--reveal", help="Tell what was broken.")] = False,
    instance: InstanceOption = None,
    json: JsonOption = False,
) -> None:
    """Break a running lab, as an exercise: find the fault.

    Which sabotage it was is not told until --reveal; labctl reset heals the lab.
    """
    from labctl.check.report import text_json
    from labctl.engine import at_work

    record, ids = choose(checks, instance)
    check = one_of(ids)
    if random and check:
        raise UsageError("--random and a check do not go together", hint="labctl break LAB CHECK, or labctl break LAB --random")
    if reveal and (check or random or hidden or seed is not None):
        raise UsageError("--reveal stands alone", hint="labctl break --reveal")
    if reveal:
        broken = at_work.what_is_broken(record)
    else:
        with progress(Reader(reader.language, quiet=True, steps=reader.steps)) as report:  # steps would name the sabotage
            broken = at_work.break_lab(record, check, seed, report)
    if json:
        told = (
            {"check": broken.check, "number": broken.number, "says": text_json(broken.says), "nodes": list(broken.nodes)} if reveal else {}
        )
        named = {} if reveal or hidden else {"check": broken.check}
        return reader.data({"instance": record.id, "seed": broken.seed, **named, **told})
    if reveal:
        return reader.say(f"{broken.check}: {broken.says.in_language(reader.language)}")
    red = "" if hidden else f"; {broken.check} {reader.choose('does not hold any more', 'が成り立たなくなりました')}"
    reader.say(reader.choose(f"{record.id} is broken now (seed {broken.seed})", f"{record.id} を壊しました（seed {broken.seed}）") + red)
    return reader.remark(
        reader.choose(
            "Find the fault. labctl verify shows what is red, labctl break --reveal tells, labctl reset heals.",
            "原因を探してください。labctl verify で赤いチェックが分かり、labctl break --reveal で答え、labctl reset で元に戻ります。",
        )
    )


@verb("solve", LESSON, "labctl solve l2-switch", "labctl solve l2-switch pc2-reaches-pc4")
def solve(
    reader: Reader,
    tasks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TASK", help="The task, or first a running lab; needless where there is one.", autocompletion=complete.instances
        ),
    ] = None,
    instance: InstanceOption = None,
) -> None:
    """Carry out the solution of a task, as a student would."""
    from labctl.engine import at_work

    record, ids = choose(tasks, instance)
    with progress(reader) as report:
        done = at_work.solve(record, one_of(ids), report)
    reader.remark(f"{done} is solved; labctl verify {record.id} {done} shows it, labctl reset takes it back")


def one_of(ids: tuple[str, ...]) -> str | None:
    """At most one check."""
    if len(ids) > 1:
        raise UsageError(f"one check at a time, not {len(ids)}", why=" ".join(ids))
    return ids[0] if ids else None
