"""docs/commands.md, made from the commands themselves: `python -m labctl.cli.reference > docs/commands.md`. A test keeps it current.

Owns the page's shape. Every word in it is a verb's own help, so nothing is told twice.
"""

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from labctl.cli.app import SECTIONS, VERBS, VerbFacts, app
from labctl.cli.main import FAMILIES

COMMON = ("quiet", "lang", "as_user", "debug", "help", "context")
OPENING = """# Commands

<!-- made by `python -m labctl.cli.reference`; do not edit -->

`LAB` is the name of a shipped lab, a directory with a `lab.yaml`, or such a file. Verbs that act on a running lab find it by themselves
where only one runs; where several do, a lab's name as first word or `--instance NAME` chooses.

Every verb takes `--quiet` (no progress, no remarks), `--lang en|ja` (else the environment's language), `--as USER` (for root, who is
refused otherwise), `--debug` and `--help`. Results go to standard output, all else to standard error. `NO_COLOR` is honoured.

Completion for bash, zsh and fish, with names of labs, instances and nodes: `labctl --install-completion`.

## Exit status

| status | meaning |
|---|---|
| 0 | done; every check passed |
| 1 | a check failed, nothing is broken |
| 2 | wrong usage: an unknown verb, lab, instance or node |
| 3 | the lab file is wrong; all its faults are listed |
| 4 | this machine is not able: KVM, a permission, a program, no room |
| 5 | a step failed; `labctl up` again goes on from there |
| 6 | something could not be removed; it is named |
| 70 | a bug in labctl |
| 130 | interrupted by Ctrl-C; what is left is named |

`ssh`, `exec` and `console` end with the status of the command in the node, labctl's own failures there are 255; `exec` on several nodes
ends with 1 if any failed.
"""


def render_reference() -> str:
    """The whole page."""
    assert FAMILIES  # imported for what they declare
    pages = [OPENING]
    for section in SECTIONS:
        facts = [facts for facts in VERBS.values() if facts.section == section]
        if facts:
            pages += [f"## {section}\n", *("\n".join(_verb(one)) for one in facts)]
    return "\n".join(pages)


def _verb(facts: VerbFacts) -> Iterator[str]:
    command = _command(facts.words)
    parameters = [each for each in command.params if each.name not in COMMON]
    arguments = [each for each in parameters if each.param_type_name == "argument"]
    words = " ".join([_as_typed(each) for each in arguments])
    yield f"### labctl {facts.words}\n"
    yield f"    labctl {facts.words} {words}".rstrip() + "\n"
    yield str(command.help).partition("\n\n\b\n")[0] + "\n"
    rows = [f"| `{_cell(_as_typed(each))}` | {_cell(each.help or '')} |" for each in parameters]
    if rows:
        yield "\n".join(["| | |", "|---|---|", *rows]) + "\n"
    if facts.examples:
        yield "\n".join(["Examples:\n", "```sh", *facts.examples, "```"]) + "\n"
    if facts.shape:
        yield "\n".join(["`--json` prints:\n", "```json", facts.shape, "```"]) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _command(words: str) -> Any:
    found: Any = get_command(app)
    for word in words.split():
        found = found.commands[word]
    return found


def _as_typed(parameter: Any) -> str:
    """`NODE`, `[NODE]…`, `--instance NAME`."""
    if parameter.param_type_name == "argument":
        word = f"{parameter.metavar}…" if parameter.nargs == -1 else str(parameter.metavar)
        return word if parameter.required else f"[{word}]"
    flags = ", ".join(sorted(parameter.opts, key=len))
    return flags if parameter.is_flag or not parameter.metavar else f"{flags} {parameter.metavar}"


if __name__ == "__main__":
    print(render_reference(), end="")
