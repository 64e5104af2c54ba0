"""Everything that can go wrong for a reason that a person can act on, as one tree.

    LabError ─┬─ UsageError (2)     unknown lab, instance or node; words that do not fit together
              ├─ LoadError (3)      the definition is wrong; carries every Fault of the run
              ├─ HostError (4)      this machine is not able: KVM, permission, program, memory
              │                 └─ NoRoom            a disk is full: which, and how much is needed
              ├─ StepError (5) ─┬─ HypervisorError   libvirt refused
              │                 ├─ AgentError        the guest did not answer, or answered nonsense
              │                 │   └─ MachineGone   it never will: its machine or libvirtd has ended
              │                 ├─ CommandError      a program ended with a status that is not 0
              │                 ├─ TimedOut          a condition did not come true in time
              │                 └─ LockHeld          somebody else is at work on it
              └─ RemoveError (6)    something could not be removed; named

Each says what failed, why, and what to type. Anything that is not a LabError is a bug: traceback, exit 70.
"""

from dataclasses import dataclass
from typing import ClassVar


class LabError(Exception):
    """What failed, why, and the hint with the command to type; `exit_code` is the process's (style.md §4)."""

    exit_code: ClassVar[int] = 5

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}: {self.why}" if self.why else self.what


class UsageError(LabError):
    exit_code = 2


@dataclass(frozen=True)
class Fault:
    """One mistake in a definition. `line` and `column` count from 1; 0 means the file as a whole."""

    file: str
    line: int
    column: int
    what: str
    why: str = ""
    hint: str = ""

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class LoadError(LabError):
    """The definition is wrong. `faults` holds all of one run, in the order of the file."""

    exit_code = 3

    def __init__(self, what: str, *, why: str = "", hint: str = "", faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(what, why=why, hint=hint)
        self.faults = faults


class HostError(LabError):
    exit_code = 4


class NoRoom(HostError):
    pass


class StepError(LabError):
    exit_code = 5


class HypervisorError(StepError):
    pass


class AgentError(StepError):
    pass


class MachineGone(AgentError):
    """Nobody is there who could answer later: the machine has ended, or the hypervisor that spoke for it."""


class CommandError(StepError):
    """A program ended badly. `command` is ready to paste, `status` its exit status, `output` the last of what it said."""

    def __init__(self, what: str, *, why: str = "", hint: str = "", command: str = "", status: int = 0, output: str = "") -> None:
        super().__init__(what, why=why, hint=hint)
        self.command = command
        self.status = status
        self.output = output


class TimedOut(StepError):
    pass


class LockHeld(StepError):
    pass


class RemoveError(LabError):
    exit_code = 6
