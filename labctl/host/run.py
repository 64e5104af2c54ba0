"""Programs are started here and nowhere else: an argument tuple, no shell, an explicit environment, standard input closed.

Owns what a failed program looks like to a person (the command ready to paste, its status, its last lines) and the bounded
stop of one that does not end. Which program to run, and what its output means, is the caller's.
"""

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from labctl.errors import CommandError, HostError, TimedOut

LAST_LINES = 12
STOP_S = 3.0
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "http_proxy", "https_proxy", "no_proxy", "XDG_RUNTIME_DIR")


@dataclass(frozen=True)
class Result:
    """How a program ended. `status` is negative for a signal, as in subprocess."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")

    @property
    def complaint(self) -> str:
        """The last lines of what it said, standard error first choice."""
        said = (self.stderr or self.stdout).decode(errors="replace").strip()
        return "\n".join(said.splitlines()[-LAST_LINES:])


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The few variables that programs need, messages in English so that they can be read by us, sbin on the path."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    path = kept.get("PATH", "/usr/bin:/bin")
    sbin = [place for place in ("/usr/sbin", "/sbin") if place not in path.split(":")]
    return {**kept, "PATH": ":".join([path, *sbin]), "LC_ALL": "C.UTF-8", **(extra or {})}


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    check: bool = True,
    cwd: Path | None = None,
) -> Result:
    """Run `argv` to its end. `CommandError` for a status that is not 0 (unless not `check`), `TimedOut`, `HostError` if it is missing."""
    process = start(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd)
    return finish(process, argv, timeout_s=timeout_s, stdin=stdin, check=check)


def finish(
    process: "subprocess.Popen[bytes]", argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"", check: bool = True
) -> Result:  # fmt: skip
    """Give a program that was started with three pipes its input and wait for its end; errors as of `run`."""
    try:
        stdout, stderr = process.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired as late:
        stop(process)
        raise TimedOut(f"`{shlex.join(argv)}` did not end within {timeout_s:g} s") from late
    except BaseException:
        stop(process)
        raise
    result = Result(tuple(argv), process.returncode, stdout, stderr)
    if check and result.status != 0:
        raise failed(result)
    return result


def failed(result: Result) -> CommandError:
    command = shlex.join(result.argv)
    name = Path(result.argv[0]).name
    return CommandError(
        f"{name} ended with status {result.status}",
        why=result.complaint or "it said nothing",
        hint=f"the command was: {command if len(command) < 500 else command[:500] + ' …'}",
        command=command,
        status=result.status,
        output=result.complaint,
    )


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
    new_session: bool = True,
    umask: int = -1,
) -> "subprocess.Popen[bytes]":
    """Start `argv` and return at once; the caller ends it with `stop`. `HostError` if the program is not there."""
    try:
        return subprocess.Popen(
            list(argv),
            env=clean_environment() if env is None else dict(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            pass_fds=tuple(pass_fds),
            start_new_session=new_session,
            umask=umask,
        )
    except FileNotFoundError as missing:
        raise HostError(f"{argv[0]} is not installed", why=str(missing), hint="labctl doctor names the package") from missing
    except PermissionError as closed:
        raise HostError(f"{argv[0]} cannot be started", why=str(closed), hint="labctl doctor") from closed


def ending_with_us(argv: Sequence[str]) -> tuple[str, ...]:
    """`argv`, to be killed when the thread that starts it ends, however that ends (PR_SET_PDEATHSIG, prctl(2); setpriv(1))."""
    return ("setpriv", "--pdeathsig", "KILL", *argv)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a program and its children: asked first, killed after three seconds. Nothing if it has ended already."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            _signal_group(process, how)
            try:
                process.wait(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                continue
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):  # a program that has ended reads no more
                stream.close()


def _signal_group(process: "subprocess.Popen[bytes]", how: signal.Signals) -> None:
    try:
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, how)
        else:
            process.send_signal(how)
    except ProcessLookupError:
        pass
