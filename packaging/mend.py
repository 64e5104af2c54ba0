"""What `labctl doctor --fix` does, for the set-up: mends devices, groups and subordinate ids of the user that labs run as.

    mend.py [USER]        as root: for USER; as an ordinary user: for oneself, by sudo

Each change is shown before it is made. Ends with status 4 if no lab can start on this machine.
"""

import shlex
import subprocess
import sys

from labctl.engine.doctor import Examination, examine, examine_for, mend
from labctl.errors import CommandError, LabError
from labctl.host.finding import Argv, State

ROUNDS = 3  # one change may uncover the next: no wire can be tried before /dev/net/tun opens


def carry_out(argv: Argv) -> None:
    print(f"set-up: {shlex.join(argv)}", flush=True)
    try:
        subprocess.run(argv, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CommandError(f"cannot {shlex.join(argv)}", why=str(error)) from error


def look(user: str) -> Examination:
    return examine_for(user) if user else examine()


def mend_in_rounds(user: str) -> Examination:
    found = look(user)
    for _ in range(ROUNDS):
        try:
            changed = mend(found, carry_out)
        except LabError as error:
            print(f"set-up: {error}" + (f" ({error.hint})" if error.hint else ""), file=sys.stderr)
            return look(user)
        if not changed:
            break
        found = look(user)
    return found


def main(user: str) -> int:
    found = mend_in_rounds(user)
    for finding in found.findings:
        if finding.state in (State.WARN, State.FAIL):
            print(f"set-up: {finding.state}: {finding.what}" + "".join(f"; {more}" for more in (finding.why, finding.hint) if more))
    return 0 if found.able else 4


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
