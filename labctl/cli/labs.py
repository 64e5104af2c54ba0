"""Verbs that read lab files or write a new one, and need no machine: list, show, new, validate, schema, graph, guide."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli import complete
from labctl.cli.app import LABS, LESSON, verb
from labctl.cli.options import LAB_HELP, InstanceOption, JsonOption, LabArgument, VariantOption
from labctl.cli.reader import Reader
from labctl.errors import LoadError, UsageError

if TYPE_CHECKING:
    from labctl.lab.topology import Lab, Node

LIST_SHAPE = """[{"name": "l2-switch", "title": {"en": "…", "ja": "…"}, "topics": ["ID_3-3-5"], "minutes": 30, "nodes": 5, "checks": 6,
  "tasks": 1, "variants": ["default"], "file": "/…/labs/l2-switch/lab.yaml"}]"""
SHOW_SHAPE = """{"name": "l2-switch", "variant": "default", "variants": ["default"], "title": {"en": "…", "ja": "…"},
  "summary": {"en": "…", "ja": "…"}, "topics": ["ID_3-3-5"], "minutes": 30, "file": "/…/lab.yaml", "digest": "…",
  "nodes": [{"name": "pc1", "role": "host", "memory_mib": 256, "cpus": 1, "gateway": null, "uplink": false,
             "interfaces": [{"name": "eth1", "mac": "52:54:00:…", "addresses": ["192.168.1.11/24"]}]}],
  "links": [["pc1:eth1", "sw1:port1"]],
  "checks": [{"id": "…", "says": {"en": "…", "ja": "…"}, "variant": null, "task": false}]}"""
VALIDATE_SHAPE = """{"valid": false, "files": [{"file": "lab.yaml", "valid": false,
  "faults": [{"file": "lab.yaml", "line": 14, "column": 7, "what": "…", "why": "…", "hint": "…"}]}]}"""


@verb("list", LABS, "labctl list", "labctl list --topic ID_3-3-5", "labctl list --json", needs_user=False, shape=LIST_SHAPE)
def list_labs(
    reader: Reader,
    topic: Annotated[
        str | None,
        typer.Option("--topic", metavar="ID", help="Only labs of this section of the source, or below it.", autocompletion=complete.topics),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the labs that come with labctl."""
    from labctl.lab.load import load_lab, shipped_labs
    from labctl.lab.words import meant

    labs, broken = [], []
    for file in shipped_labs():
        try:
            labs.append(load_lab(file))
        except LoadError as error:
            broken.append(f"{error.what}; labctl validate {file.parent.name}")
    if topic is not None:
        known = {each for lab in labs for each in lab.topics}
        labs = [lab for lab in labs if any(_is_in(each, topic) for each in lab.topics)]
        if not labs:
            raise UsageError(f"no lab of topic {topic}", hint=meant(f"ID_{topic.removeprefix('ID_')}", sorted(known)))
    if json:
        return reader.data([_summary(lab) for lab in labs])
    rows = [(lab.name, reader.choose(lab.title.en, lab.title.ja), str(len(lab.nodes)), f"{lab.minutes} min") for lab in labs]
    reader.table(rows, heading=("LAB", "TITLE", "NODES", "TIME"))
    for complaint in broken:
        reader.complain(complaint)
    reader.remark("\nlabctl show LAB tells more, labctl up LAB starts one, labctl guide LAB is its lesson.")


def _is_in(anchor: str, topic: str) -> bool:
    """`ID_3-3-5` is in 3-3-5, and in 3-3."""
    wanted = f"ID_{topic.removeprefix('ID_')}"
    return anchor == wanted or anchor.startswith(f"{wanted}-")


def _summary(lab: "Lab") -> dict[str, Any]:
    tasks = sum(check.task for check in lab.checks)
    return {
        "name": lab.name,
        "title": lab.title.model_dump(),
        "topics": list(lab.topics),
        "minutes": lab.minutes,
        "nodes": len(lab.nodes),
        "checks": len(lab.checks) - tasks,
        "tasks": tasks,
        "variants": list(lab.variants),
        "file": str(lab.file),
    }


@verb("show", LABS, "labctl show l2-switch", "labctl show ./my-lab --json", needs_user=False, shape=SHOW_SHAPE)
def show(reader: Reader, lab: LabArgument, variant: VariantOption = "default", json: JsonOption = False) -> None:
    """Show a lab: nodes, cables, what it proves."""
    from labctl.lab.drawing import render_terminal

    loaded = load(lab, variant)
    if json:
        return reader.data(_description(loaded))
    reader.say(render_terminal(loaded, reader.language))
    if summary := loaded.summary.in_language(reader.language):
        reader.say(summary.strip() + "\n")
    checks = [(f"  {check.id}", check.says.in_language(reader.language)) for check in loaded.checks if not check.task]
    tasks = [(f"  {check.id}", check.says.in_language(reader.language)) for check in loaded.checks if check.task]
    for title, rows in ((reader.choose("It proves:", "確かめること:"), checks), (reader.choose("Tasks:", "課題:"), tasks)):
        if rows:
            reader.say(title)
            reader.table(rows)
            reader.say()
    if len(loaded.variants) > 1:
        reader.say(f"{reader.choose('Variants', 'バリアント')}: {', '.join(loaded.variants)}")
    reader.remark(f"labctl up {lab} starts it; the file is {loaded.file}")


def _description(lab: "Lab") -> dict[str, Any]:
    return {
        "name": lab.name,
        "variant": lab.variant,
        "variants": list(lab.variants),
        "title": lab.title.model_dump(),
        "summary": lab.summary.model_dump(),
        "topics": list(lab.topics),
        "minutes": lab.minutes,
        "file": str(lab.file),
        "digest": lab.digest,
        "nodes": [_node(node) for node in lab.nodes],
        "links": [[str(end) for end in link.ends] for link in lab.links],
        "checks": [{"id": check.id, "says": check.says.model_dump(), "variant": check.variant, "task": check.task} for check in lab.checks],
    }


def _node(node: "Node") -> dict[str, Any]:
    interfaces = [{"name": port.name, "mac": port.mac, "addresses": [str(each) for each in port.addresses]} for port in node.interfaces]
    return {
        "name": node.name,
        "role": node.role.name,
        "memory_mib": node.memory_mib,
        "cpus": node.cpus,
        "gateway": str(node.gateway) if node.gateway else None,
        "uplink": node.uplink,
        "interfaces": interfaces,
    }


@verb("validate", LABS, "labctl validate ./my-lab", "labctl validate labs/*/lab.yaml", needs_user=False, shape=VALIDATE_SHAPE)
def validate(
    reader: Reader,
    labs: Annotated[list[str], typer.Argument(metavar="LAB", help=LAB_HELP, autocompletion=complete.labs)],
    json: JsonOption = False,
) -> int:
    """Check lab files; nothing is started.

    All mistakes come in one run, with line and column.
    """
    from labctl.cli.failures import render_faults

    results = [(word, *_examine(word)) for word in labs]
    if json:
        files = [{"file": str(file), "valid": error is None, "faults": _faults(error)} for _, file, error, _ in results]
        reader.data({"valid": all(entry["valid"] for entry in files), "files": files})
    else:
        for word, _, error, said in results:
            if error is not None:
                reader.complain(render_faults(error))
            else:
                reader.say(f"{word}: {said}")
    return LoadError.exit_code if any(error is not None for _, _, error, _ in results) else 0


def _examine(word: str) -> tuple[Path, LoadError | None, str]:
    """Load a lab in all its variants and render its templates; the first variant with faults speaks."""
    from labctl.engine.provision import render
    from labctl.lab.load import find_lab, load_lab

    file = find_lab(word)
    try:
        lab = load_lab(file)
        render(lab)
        for variant in lab.variants[1:]:
            render(load_lab(file, variant=variant))
    except LoadError as error:
        return file, error, ""
    counts = ((len(lab.nodes), "node"), (len(lab.links), "cable"), (len(lab.checks), "check"))
    return file, None, "valid, " + ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)


def _faults(error: LoadError | None) -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [asdict(fault) for fault in error.faults] if error else []


@verb("new", LABS, "labctl new my-lab", "labctl new my-lab --like static-routing", needs_user=False)
def new(
    reader: Reader,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the lab and of its new directory; a path is fine.")],
    like: Annotated[
        str | None, typer.Option("--like", metavar="LAB", help="Begin with a copy of this lab.", autocompletion=complete.labs)
    ] = None,
) -> None:
    """Write a new lab that comes up and has one proven check."""
    from labctl.lab.load import find_lab
    from labctl.lab.starter import write_new_lab

    directory = Path(name)
    file = write_new_lab(directory, directory.name, find_lab(like) if like else None)
    reader.remark(f"written: {file}")
    reader.remark(f"  labctl validate {directory}   after each change\n  labctl up {directory}         start it")


@verb("schema", LABS, "labctl schema > lab.schema.json", needs_user=False)
def schema(reader: Reader) -> None:
    """Print the JSON Schema of lab files.

    Editors complete and check YAML with it.
    """
    from labctl.lab.schema import lab_schema

    reader.data(lab_schema())


@verb(
    "graph",
    LABS,
    "labctl graph l2-switch",
    "labctl graph l2-switch --format svg -o l2-switch.svg",
    "labctl graph l2-switch --running",
    needs_user=False,
)
def graph(
    reader: Reader,
    lab: LabArgument,
    form: Annotated[
        str,
        typer.Option(
            "--format", "-f", metavar="term|svg|mermaid|dot", help="Text for the terminal, or a picture.", autocompletion=complete.forms
        ),
    ] = "term",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to a file.")] = None,
    running: Annotated[
        bool, typer.Option("--running", help="As it runs: nodes that are off, cables that are cut or moved, links made worse.")
    ] = False,
    variant: VariantOption = "default",
    instance: InstanceOption = None,
) -> None:
    """Draw a lab, for the terminal or as a picture."""
    from labctl.engine.graph import Form, draw

    if form not in tuple(Form):
        raise UsageError(f"no format '{form}'", hint=f"formats: {', '.join(Form)}")
    picture = _of_running(reader, lab, instance, form) if running else draw(load(lab, variant), Form(form), reader.language)
    if output is None:
        return reader.say(picture.rstrip("\n"))
    write_file(output, picture)
    return reader.remark(f"written: {output}")


def _of_running(reader: Reader, lab: str, instance: str | None, form: str) -> str:
    from labctl.engine.graph import Form, as_it_runs, draw
    from labctl.engine.instances import find_instance

    drawn, now = as_it_runs(find_instance(None if instance else lab, instance))
    return draw(drawn, Form(form), reader.language, now)


@verb("guide", LESSON, "labctl guide l2-switch", "labctl guide l2-switch --lang ja", needs_user=False)
def guide(
    reader: Reader,
    lab: LabArgument,
    pager: Annotated[bool, typer.Option("--pager", help="Turn its pages with less.")] = False,
) -> None:
    """Read the lesson of a lab."""
    from labctl.cli.markdown import page_markdown, print_markdown
    from labctl.lab.load import find_lab

    directory = find_lab(lab).parent
    wanted = directory / ("guide.ja.md" if reader.language == "ja" else "guide.md")
    found = next((file for file in (wanted, directory / "guide.md", directory / "guide.ja.md") if file.is_file()), None)
    if found is None:
        raise UsageError(f"the lab {directory.name} has no guide", hint=f"its author would write one to {wanted}")
    if found != wanted:
        reader.remark(f"There is no {wanted.name} here; this is {found.name}.\n")
    text = found.read_text(encoding="utf-8", errors="replace")
    if pager and sys.stdout.isatty():
        return page_markdown(text)
    return print_markdown(text, reader)


def load(word: str, variant: str = "default") -> "Lab":
    from labctl.lab.load import find_lab, load_lab

    return load_lab(find_lab(word), variant=variant)


def try_to_write(file: Path) -> None:
    """A file that cannot be written is refused before the work whose result it is to hold; nothing is changed."""
    try:
        place = file.resolve()
        there = place.exists()
        if there and not place.is_file() and not place.is_dir():
            return  # whoever reads a pipe would take this for its end
        with place.open("ab"):
            pass
        if not there:
            place.unlink()
    except OSError as error:
        raise UsageError(f"{file} cannot be written", why=error.strerror or str(error)) from error


def write_file(file: Path, text: str) -> None:
    try:
        file.write_text(text)
    except OSError as error:
        raise UsageError(f"{file} cannot be written", why=error.strerror or str(error)) from error
