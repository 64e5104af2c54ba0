"""Which user labctl runs as. Labs belong to an ordinary user; root is refused, or goes on as that user with `--as USER`.

Owns the refusal and the change of user, which starts labctl anew: nothing of root's process stays behind.
"""

import os
import pwd
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from labctl.errors import HostError, UsageError

KEPT = ("PATH", "LANG", "LC_ALL", "LC_MESSAGES", "TERM", "NO_COLOR", "COLUMNS", "LABCTL_IMAGES", "LABCTL_SAVED_GIB", "PYTHONPATH")


def settle_user(wanted: str | None, *, needs_user: bool) -> None:
    """Go on as `wanted` (never returns then), or refuse root where labs run as the caller."""
    me = pwd.getpwuid(os.geteuid()).pw_name if _known(os.geteuid()) else str(os.geteuid())
    if wanted is not None and wanted != me:
        _become(wanted, without_as(sys.argv[1:]))
    if needs_user and os.geteuid() == 0:
        raise UsageError(
            "labs do not run as root",
            why="as an ordinary user's they cannot harm this machine",
            hint=f"labctl --as {_likely_user()} {' '.join(sys.argv[1:])}".rstrip(),
        )


def _known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _likely_user() -> str:
    """The user that `make demo` makes, if it is there."""
    try:
        return pwd.getpwnam("labctl").pw_name
    except KeyError:
        return "USER"


def _become(user: str, words: Sequence[str]) -> None:
    try:
        account = pwd.getpwnam(user)
    except KeyError as unknown:
        raise UsageError(f"there is no user '{user}'", hint=f"as root: useradd --create-home {user}") from unknown
    if user == "root" or account.pw_uid == 0:
        raise UsageError("labs do not run as root", hint="name an ordinary user: --as USER")
    argv = switch_argv(user, [*own_command(sys.argv[0]), *words], root=os.geteuid() == 0)
    try:
        os.execvpe(argv[0], argv, environment_of(account.pw_dir, user, os.environ))
    except FileNotFoundError as missing:
        raise HostError(f"cannot go on as {user}", why=f"{argv[0]} is not installed", hint=f"log in as {user}") from missing


def switch_argv(user: str, command: Sequence[str], *, root: bool) -> list[str]:
    """`command` as `user`: by runuser(1), which only root may, else by sudo(8), which may ask."""
    return ["runuser", "-u", user, "--", *command] if root else ["sudo", "-H", "-u", user, "--", *command]


def own_command(program: str) -> list[str]:
    """What starts labctl again: the very program that was started, else the module by this interpreter."""
    path = Path(program)
    if path.name == "labctl" and path.exists():
        return [str(path.resolve())]
    return [sys.executable, "-m", "labctl.cli"]


def environment_of(home: str, user: str, mine: Mapping[str, str]) -> dict[str, str]:
    """The few variables that may travel; none of root's own places."""
    return {**{name: mine[name] for name in KEPT if name in mine}, "HOME": home, "USER": user, "LOGNAME": user}


def without_as(words: Sequence[str]) -> list[str]:
    """The command line without `--as USER`; what follows `--` belongs to somebody else."""
    kept: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*kept, word, *rest]
        if word == "--as":
            rest = rest[1:]
        elif not word.startswith("--as="):
            kept.append(word)
    return kept
