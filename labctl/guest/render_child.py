"""The child that renders: templates of strangers become text here, and nothing else can happen (design §7).

Reads one JSON request on standard input, writes one JSON answer. Jinja2's sandbox keeps a template from Python; limits of this
process keep it from time, memory and files. Started by `guest/rendering.py` as a program of its own; imports nothing of ours.
"""

import json
import resource
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

from jinja2 import StrictUndefined, Template, TemplateNotFound, TemplateSyntaxError, UndefinedError
from jinja2.debug import rewrite_traceback_stack  # Jinja2 imports it only once an error is told: no file can be opened by then
from jinja2.exceptions import SecurityError
from jinja2.loaders import FunctionLoader
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST_PRODUCT = 1_000_000
Fault = dict[str, Any]


class OutOfTime(BaseException):
    """No Exception: no code of a template's can swallow it."""


class TooLarge(Exception):
    pass


class Refused(Exception):
    """A template has looked at the settings and cannot make anything of them; its words are for the lab's author."""


def refuse(what: str) -> NoReturn:
    """For templates: `{{ refuse("no segment `dmz`") }}`, where a schema cannot tell that settings do not fit together."""
    raise Refused(what)


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's own sandbox, with the two operators that make a short expression long refused beyond what a file needs."""

    intercepted_binops = frozenset({"**", "*"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise SecurityError("`**` is not available in templates")
        for text, times in ((left, right), (right, left)):
            if isinstance(text, str | bytes | list | tuple) and isinstance(times, int) and len(text) * times > LONGEST_PRODUCT:
                raise SecurityError(f"`*` would make something of {len(text) * times:,} parts; at most {LONGEST_PRODUCT:,}")
        return super().call_binop(context, operator, left, right)


def environment_of(source: dict[str, dict[str, str]]) -> Sandbox:
    """An environment that knows the texts of `source` and nothing more."""

    def load(name: str) -> tuple[str, str | None, None] | None:
        return (source["texts"][name], source["paths"][name], None) if name in source["texts"] else None

    environment = Sandbox(
        loader=FunctionLoader(load),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name in ("lipsum", "cycler", "joiner"):
        environment.globals.pop(name)
    environment.globals["refuse"] = refuse
    return environment


def render(template: Template, context: dict[str, Any], limit: int) -> str:
    """The text, given up as soon as it is longer than `limit`."""
    pieces: list[str] = []
    size = 0
    for piece in template.generate(context):
        size += len(piece)
        if size > limit:
            raise TooLarge(f"the text is longer than {limit:,} characters")
        pieces.append(piece)
    return "".join(pieces)


def fault_of(error: BaseException, source: dict[str, dict[str, str]], template: str) -> Fault:
    """What went wrong, and the last line of a template on the way to it."""
    if isinstance(error, TemplateSyntaxError):
        return {"file": error.filename or source["paths"][template], "line": error.lineno, "what": error.message or "", "kind": "syntax"}
    file, line = source["paths"][template], 0
    known = set(source["paths"].values())
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename in known:
            file, line = step.tb_frame.f_code.co_filename, step.tb_lineno
        step = step.tb_next
    return {"file": file, "line": line, **told(error)}


def told(error: BaseException) -> Fault:
    match error:
        case OutOfTime():
            return {"what": "rendering takes too long", "kind": "time"}
        case MemoryError():
            return {"what": "rendering takes too much memory", "kind": "memory"}
        case SecurityError():
            return {"what": str(error), "kind": "refused"}
        case Refused():
            return {"what": str(error), "kind": "settings"}
        case UndefinedError():
            return {"what": str(error), "kind": "undefined"}
        case TemplateNotFound():
            return {"what": f"no template {error.name}", "kind": "missing"}
        case TooLarge() | OverflowError() | RecursionError():
            return {"what": str(error), "kind": "size"}
    return {"what": f"{type(error).__name__}: {error}", "kind": "other"}


def render_all(request: dict[str, Any]) -> dict[str, Any]:
    """Every job of the request; a fault in one does not hide those of the others, but time is for all together."""
    environments = [environment_of(source) for source in request["sources"]]
    nodes = {node["name"]: node for node in request["lab"]["nodes"]}
    texts: list[str | None] = []
    faults: list[Fault] = []
    for source, template, name in request["jobs"]:
        node = nodes[name]
        ports = [port for port in node["interfaces"] if port["mac"]]
        context = {"lab": request["lab"], "node": node, "settings": node["settings"], "ports": ports}
        text = None
        try:
            text = render(environments[source].get_template(template), context, request["text_limit"])
        except OutOfTime:
            faults.append({**fault_of(rewrite_traceback_stack(), request["sources"][source], template), "node": name})
            break
        except Exception as error:
            faults.append({**fault_of(error, request["sources"][source], template), "node": name})
        texts.append(text)
    return {"texts": texts, "faults": faults}


def limit_this_process(seconds: float, memory: int) -> None:
    """From here on: `seconds` of CPU, `memory` bytes more than now, no file."""

    def out_of_time(number: int, frame: FrameType | None) -> NoReturn:
        raise OutOfTime

    signal.signal(signal.SIGPROF, out_of_time)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    with open("/proc/self/statm") as statm:
        now = int(statm.read().split()[0]) * resource.getpagesize()
    used = resource.getrusage(resource.RUSAGE_SELF)
    last = int(used.ru_utime + used.ru_stime + seconds) + 2  # for a single step of Python that no signal interrupts
    resource.setrlimit(resource.RLIMIT_CPU, (last, last))
    resource.setrlimit(resource.RLIMIT_AS, (now + memory, now + memory))
    for what in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(what, (0, 0))


def main() -> None:
    request = json.load(sys.stdin)
    Sandbox().from_string("{{ 'a\\n' | upper }}").render()  # what Jinja2 and its codecs import late is here before no file can be opened
    limit_this_process(request["seconds"], request["memory"])
    answer = render_all(request)
    signal.setitimer(signal.ITIMER_PROF, 0)
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
