"""The Typer application, and how a verb is declared: its section, its examples, the shape of its JSON, whom it runs as.

Owns the options that every verb has and the page of `labctl --help`. A verb is a function that takes the Reader first and returns
an exit status or nothing; it imports what it needs in its body, so that `--help` and completion pay for none of it.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from labctl.cli import complete
from labctl.cli.failures import guarded
from labctl.cli.reader import LANGUAGES, Reader, language_of
from labctl.cli.user import settle_user
from labctl.errors import UsageError

LABS, RUN, INSIDE, LESSON, MACHINE = "Labs", "Run a lab", "Inside a running lab", "The lesson", "This machine"
SECTIONS = (LABS, RUN, INSIDE, LESSON, MACHINE)


class SectionedGroup(TyperGroup):
    """A group whose help lists its verbs by section, in plain text: it costs no Rich, and reads the same in a pipe."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self._format_sections(ctx, formatter)
        super().format_options(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Nothing here: the sections stand before the options."""

    def _format_sections(self, ctx: Any, formatter: Any) -> None:
        known = [(name, command) for name in self.list_commands(ctx) if (command := self.get_command(ctx, name)) and not command.hidden]
        width = formatter.width - 6 - max(len(name) for name, _ in known)
        for section in SECTIONS:
            rows = [(name, command.get_short_help_str(width)) for name, command in known if command.rich_help_panel == section]  # type: ignore[attr-defined]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)


def new_group(help_text: str) -> typer.Typer:
    return typer.Typer(
        cls=SectionedGroup,
        help=help_text,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


app = new_group(
    "Virtual machine labs for teaching infrastructure: real machines, real cables, lessons that are proven.\n\n"
    "\b\nStart here:\n  labctl doctor           can this machine run labs?\n  labctl up l2-switch     start a lab\n"
    "  labctl guide l2-switch  read its lesson\n  labctl down l2-switch   end it; nothing is left behind"
)


@dataclass(frozen=True)
class VerbFacts:
    """What the reference page tells of a verb beyond its help."""

    words: str  # as typed: `image ls`
    section: str
    examples: tuple[str, ...]
    shape: str  # of --json, by example; empty where there is none


VERBS: dict[str, VerbFacts] = {}

QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no remarks; only results and errors.")]
LanguageOption = Annotated[
    str | None,
    typer.Option("--lang", metavar="en|ja", help="Language of lessons and reports; else LANG's.", autocompletion=complete.languages),
]
AsOption = Annotated[str | None, typer.Option("--as", metavar="USER", help="Run as this ordinary user, for root.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show where in labctl an error arose.")]


@dataclass(frozen=True)
class Common:
    """The options that may stand before the verb or after it."""

    quiet: bool = False
    lang: str | None = None
    as_user: str | None = None
    debug: bool = False

    def over(self, other: "Common") -> "Common":
        return Common(self.quiet or other.quiet, self.lang or other.lang, self.as_user or other.as_user, self.debug or other.debug)


def verb(
    words: str,
    section: str,
    *examples: str,
    group: typer.Typer | None = None,
    needs_user: bool = True,
    shape: str = "",
    own_status: int | None = None,
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Declare a verb. `words` as typed after labctl; `own_status`: what its own failures exit with, where that is not the error's code."""

    def declare(function: Callable[..., int | None]) -> Callable[..., int | None]:
        VERBS[words] = VerbFacts(words, section, examples, shape)
        command = _with_common_options(function, needs_user=needs_user, own_status=own_status)
        target = app if group is None else group
        target.command(words.split()[-1], help=help_text(function, examples), rich_help_panel=section)(command)
        return function

    return declare


def help_text(function: Callable[..., int | None], examples: tuple[str, ...]) -> str:
    text = inspect.cleandoc(function.__doc__ or "")
    return "\n".join([text, "", "\b", "Examples:", *(f"  {example}" for example in examples)])


def _with_common_options(function: Callable[..., int | None], *, needs_user: bool, own_status: int | None) -> Callable[..., None]:
    @functools.wraps(function)
    def command(context: typer.Context, quiet: bool, lang: str | None, as_user: str | None, debug: bool, **words: Any) -> None:
        common = Common(quiet, lang, as_user, debug).over(context.obj or Common())
        reader = Reader(language_of(common.lang), common.quiet, common.debug)
        with guarded(reader, status=own_status):
            check_language(common.lang)
            settle_user(common.as_user, needs_user=needs_user)
            status = function(reader, **words)
            if status:
                raise typer.Exit(status)

    own = list(inspect.signature(function).parameters.values())[1:]  # the Reader is ours to give
    parameters = [_parameter("context", typer.Context), *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own), *_COMMON]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_COMMON = (
    _parameter("quiet", QuietOption, False),
    _parameter("lang", LanguageOption, None),
    _parameter("as_user", AsOption, None),
    _parameter("debug", DebugOption, False),
)


def check_language(language: str | None) -> None:
    if language is not None and language not in LANGUAGES:
        raise UsageError(f"no language '{language}'", hint=f"languages: {', '.join(LANGUAGES)}")


def print_version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        print(f"labctl {version('labctl-kvm')}")
    except PackageNotFoundError:
        print("labctl, from a checkout that is not installed")
    raise typer.Exit


@app.callback()
def common_options(
    context: typer.Context,
    quiet: QuietOption = False,
    lang: LanguageOption = None,
    as_user: AsOption = None,
    debug: DebugOption = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", callback=print_version, is_eager=True)] = False,
) -> None:
    """What every verb has may stand before the verb too."""
    context.obj = Common(quiet, lang, as_user, debug)
