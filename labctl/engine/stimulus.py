"""Carries out actions on the running lab: `before`, `do` and `after` of a check, sabotages, solutions.

Owns what happens at the same time (the commands of one action), what goes on in the background (`start`, a transient unit of the node's
systemd, stopped when the stage is left) and what went wrong meanwhile. What was seen is `engine/evidence.py`'s.
"""

import shlex
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from labctl.check.ask import Question, question
from labctl.check.judge import NOT_RUN, Answer
from labctl.check.readable import last_line, one_line
from labctl.check.wording import both, command_words, prefixed, same
from labctl.engine.parallel import at_once
from labctl.engine.under_test import LabUnderTest
from labctl.errors import HostError, LabError
from labctl.lab.model import (
    Action,
    ClearLink,
    CutLink,
    ImpairLink,
    MoveLink,
    OnNodes,
    Power,
    RestoreLink,
    RunCommand,
    SetSettings,
    StartCommand,
    Text,
)
from labctl.lab.values import seconds_of

COMMAND_S = 60.0
AGENT_S = 15.0  # beyond a command's own deadline, for the agent's round trips
BACKGROUND_S = 0.5  # a command that was started gets this long to open its sockets
TIME_IS_UP = (124, 137)  # timeout(1): ended by it; killed by it
START = """printf %s {wrapped} >/run/{unit}.sh &&
systemd-run --quiet --collect --unit={unit} --property=KillMode=control-group --property=TimeoutStopSec=2 \\
  --setenv=HOME=/root --setenv=LANG=C.UTF-8 --setenv=PATH="$PATH" /bin/sh /run/{unit}.sh"""
STOP = """cat /run/{unit}.status 2>/dev/null
systemctl stop {unit}.service 2>/dev/null
rm -f /run/{unit}.sh /run/{unit}.status"""


@dataclass
class Stage:
    """One check's (or sabotage's) stage. `ran` is false once an action was not carried out at all; `troubles` say what went wrong."""

    target: LabUnderTest
    troubles: list[Text] = field(default_factory=list)
    ran: bool = True
    background: list[tuple[str, str]] = field(default_factory=list)

    def carry_out(self, actions: Sequence[Action], phase: str = "") -> dict[str, list[Answer]]:
        """Carry out all of them, in order, going on past a failure; what commands printed, by node."""
        printed: dict[str, list[Answer]] = {}
        for action in actions:
            try:
                for node, answer in _act(self, action, phase).items():
                    printed.setdefault(node, []).append(answer)
            except HostError:
                raise
            except LabError as refused:
                self.note(same(one_line(str(refused))), phase, ran=False)
        return printed

    def note(self, trouble: Text, phase: str, *, ran: bool) -> None:
        self.troubles.append(prefixed(phase, trouble) if phase else trouble)
        self.ran = self.ran and ran

    def stop_background(self) -> None:
        """End what was started; one that had failed before is a trouble."""
        while self.background:
            node, unit = self.background.pop()
            answer = ask_node(self.target, Question(node, STOP.format(unit=unit), COMMAND_S * self.target.time_scale))
            status = answer.text.strip()
            if answer.trouble is not None:
                self.note(answer.trouble, "start", ran=True)
            elif status not in ("", "0"):
                what = both(f"{node}: it ended with status {status}", f"{node}: 終了ステータス {status} で終わっていた")
                self.note(what, "start", ran=status not in map(str, NOT_RUN))


@contextmanager
def open_stage(target: LabUnderTest, after: Sequence[Action] = ()) -> Iterator[Stage]:
    """A stage; when it is left, whatever happened, `after` is done and the background is ended."""
    stage = Stage(target)
    try:
        yield stage
    finally:
        stage.carry_out(after, "after")
        stage.stop_background()


def ask_node(target: LabUnderTest, asked: Question) -> Answer:
    """The node's answer; an agent that fails or a time that is up is a trouble, not an exception."""
    began = time.monotonic()
    try:
        done = target.run_on(asked.node, asked.script, timeout_s=asked.timeout_s + AGENT_S * target.time_scale)
    except HostError:
        raise
    except LabError as refused:
        return Answer(trouble=same(one_line(str(refused))))
    if done.status in TIME_IS_UP and time.monotonic() - began >= asked.timeout_s:
        late = both(f"{asked.node}: not within {asked.timeout_s:g} s", f"{asked.node}: {asked.timeout_s:g} 秒以内に終わらなかった")
        return Answer(done.status, done.stdout, done.stderr, trouble=late, late=True)
    if done.truncated:
        return Answer(done.status, done.stdout, done.stderr, both(f"{asked.node}: too much output", f"{asked.node}: 出力が多すぎる"))
    return Answer(done.status, done.stdout, done.stderr)


def _act(stage: Stage, action: Action, phase: str) -> Mapping[str, Answer]:
    target, end = stage.target, stage.target.lab.end
    match action:
        case OnNodes():
            return _on_nodes(stage, action, phase)
        case SetSettings():
            for node, changes in action.set.items():
                target.set_settings(node, changes)
        case CutLink():
            target.cut(end(action.cut))
        case RestoreLink():
            target.restore(end(action.restore))
        case ImpairLink():
            target.impair(end(action.impair), action, one_way=action.one_way)
        case ClearLink():
            target.clear(end(action.clear))
        case MoveLink():
            here, _, there = action.move.partition(" -> ")
            target.move(end(here), end(there))
        case Power():
            for node, state in action.power.items():
                target.power(node, state)
    return {}


def _on_nodes(stage: Stage, action: OnNodes, phase: str) -> Mapping[str, Answer]:
    scale = stage.target.time_scale
    asked: dict[str, Question] = {}
    for node, command in action.commands.items():
        if isinstance(command, StartCommand):
            asked[node] = _start_question(stage, node, command.start)
        else:
            asked[node] = question(node, command.run, seconds_of(command.within) * scale if command.within else COMMAND_S * scale)
    answers = at_once({node: partial(ask_node, stage.target, one) for node, one in asked.items()})
    for node, answer in answers.items():
        _judge_end(stage, node, action.commands[node], answer, phase)
    if any(isinstance(command, StartCommand) for command in action.commands.values()):
        time.sleep(BACKGROUND_S * scale)
    return {node: answer for node, answer in answers.items() if isinstance(action.commands[node], RunCommand)}


def start_in_background(stage: Stage, node: str, command: str) -> Answer:
    """Start `command` in the node; it goes on until the stage is left."""
    return ask_node(stage.target, _start_question(stage, node, command))


def _start_question(stage: Stage, node: str, command: str) -> Question:
    unit = f"labctl-start-{uuid.uuid4().hex[:8]}"
    stage.background.append((node, unit))
    return Question(node, _start_script(unit, command), COMMAND_S * stage.target.time_scale)


def _start_script(unit: str, command: str) -> str:
    """The command travels in a file: systemd would read `$x` and `%x` of an argument as its own."""
    wrapped = f"sh -c {shlex.quote(command)}\necho $? >/run/{unit}.status\n"
    return START.format(unit=unit, wrapped=shlex.quote(wrapped))


def _judge_end(stage: Stage, node: str, command: RunCommand | StartCommand, answer: Answer, phase: str) -> None:
    """A trouble, if the command did not end as it should."""
    started = isinstance(command, StartCommand)
    words = f"{node}: {command_words(command.start if isinstance(command, StartCommand) else command.run)}"
    must_fail = isinstance(command, RunCommand) and command.fails
    why = last_line(answer.stderr)
    tail = f": {why}" if why else ""
    if answer.trouble is not None:
        stage.note(prefixed(words, answer.trouble), phase, ran=answer.late)
    elif answer.status in NOT_RUN or (started and answer.status != 0):
        stage.note(both(f"{words} could not be run{tail}", f"{words} を実行できなかった{tail}"), phase, ran=False)
    elif must_fail and answer.status == 0:
        stage.note(both(f"{words} succeeded, and it should fail", f"{words} は失敗するはずが成功した"), phase, ran=True)
    elif not must_fail and answer.status != 0:
        ended, ended_ja = f"ended with status {answer.status}", f"が終了ステータス {answer.status} で終わった"
        stage.note(both(f"{words} {ended}{tail}", f"{words} {ended_ja}{tail}"), phase, ran=True)
