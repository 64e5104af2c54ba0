"""What one probe of this machine found: its state, what that means, and what to type.

Owns the value that `doctor` collects, prints and mends by. The probes are in `host/machine`, `host/account`, `host/software` and
`host/kernel_features`; which of them make a machine able is `engine/doctor`'s.
"""

from dataclasses import dataclass
from enum import StrEnum

Argv = tuple[str, ...]


class State(StrEnum):
    """`fail`: no lab starts. `warn`: labs start, with a loss. `unproven`: cannot be known yet, which is no failure."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNPROVEN = "unproven"


@dataclass(frozen=True)
class Finding:
    """`what` was looked at and found, `why` it matters or came about, `hint` what to type; `fix` the commands that mend it, as root."""

    id: str
    state: State
    what: str
    why: str = ""
    hint: str = ""
    fix: tuple[Argv, ...] = ()
