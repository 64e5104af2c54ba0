"""Verbs of scenarios, the timelines of faults of a lab: scenario ls | run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import complete
from labctl.cli.app import LESSON, app, new_group, verb
from labctl.cli.options import InstanceOption, JsonOption
from labctl.cli.progress import progress
from labctl.cli.reader import Reader, duration
from labctl.errors import StepError

if TYPE_CHECKING:
    from labctl.lab.scenarios import Scenario

TEXT = '{"en": "…", "ja": "…"}'
LS_SHAPE = f"""[{{"name": "cut", "says": {TEXT}, "seconds": 30.0, "probes": {{"ping": "ping h1 -> 10.3.0.10"}}}}]"""
RUN_SHAPE = f"""{{"scenario": "cut", "says": {TEXT}, "seconds": 30.0,
  "events": [{{"at_s": 5.0, "began_s": 5.01, "done_s": 5.12, "says": {TEXT}, "error": null}}],
  "probes": [{{"name": "ping", "says": "ping h1 -> 10.3.0.10", "every_s": 0.1, "sent": 300, "answered": 289, "loss_percent": 3.67,
    "longest_gap_s": 1.1, "gaps": [{{"from_s": 5.1, "to_s": 6.2}}], "samples": [{{"sent_s": 0.052, "round_trip_ms": 1.9}}]}}]}}"""
scenario = new_group("Timelines of faults, with probes: list and run them.")
app.add_typer(scenario, name="scenario", rich_help_panel=LESSON)


@verb("scenario ls", LESSON, "labctl scenario ls", group=scenario, shape=LS_SHAPE)
def scenario_ls(reader: Reader, instance: InstanceOption = None, json: JsonOption = False) -> None:
    """List the scenarios of a running lab."""
    from labctl.check.report import text_json
    from labctl.engine import at_work
    from labctl.engine.instances import find_instance
    from labctl.lab.scenarios import probe_words

    lab = at_work.lab_of(find_instance(None, instance))
    if json:
        return reader.data(
            [
                {
                    "name": one.name,
                    "says": text_json(one.says),
                    "seconds": one.end_s,
                    "probes": {name: probe_words(probe) for name, probe in one.probes.items()},
                }
                for one in lab.scenarios
            ]
        )
    if not lab.scenarios:
        return reader.say(f"{lab.name} has no scenarios")
    rows = [(one.name, duration(one.end_s), ", ".join(map(probe_words, one.probes.values())), _says(reader, one)) for one in lab.scenarios]
    return reader.table(rows, heading=("SCENARIO", "TIME", "PROBES", ""))


def _says(reader: Reader, one: "Scenario") -> str:
    return "" if one.says.en == one.name else one.says.in_language(reader.language)


@verb(
    "scenario run",
    LESSON,
    "labctl scenario run cut",
    "labctl scenario run cut --svg cut.svg",
    "labctl scenario run silent --json > silent.json",
    group=scenario,
    shape=RUN_SHAPE,
)
def scenario_run(
    reader: Reader,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A scenario of the lab file.", autocompletion=complete.scenarios)],
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw the timeline to a file too.")] = None,
    instance: InstanceOption = None,
    json: JsonOption = False,
) -> None:
    """Run a timeline of faults on a running lab, and show what its probes saw.

    What happens is told while it happens. Cables and links are put back at the end.
    """
    from labctl.check.timeline import render_svg, render_timeline, run_json
    from labctl.cli.labs import try_to_write, write_file
    from labctl.engine import at_work
    from labctl.engine.instances import find_instance

    record = find_instance(None, instance)
    if svg is not None:
        try_to_write(svg)
    with progress(reader) as report:
        run, troubles = at_work.run_scenario(record, name, report)
    if svg is not None:
        write_file(svg, render_svg(run, reader.language))
        reader.remark(f"written: {svg}")
    if json:
        reader.data(run_json(run))
    else:
        reader.say(render_timeline(run, reader.language).rstrip("\n"))
    if troubles:
        raise StepError(f"scenario {name}: not all of it could be done", why="\n".join(one.en for one in troubles))
