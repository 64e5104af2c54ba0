"""Run a command inside the namespaces of a lab: a program of its own, for a process with one thread and few imports.

    python3 -I enter.py INIT_PID COMMAND [ARG …]

Joins user, then net, mount and pid namespace of INIT_PID by libc's setns(2), raises what capabilities the
namespace's owner has as ambient ones, since the inner uid is not 0 and execve(2) would drop them (capabilities(7)), and becomes
COMMAND. Nothing but the standard library: this is the privileged step (style.md §1.9).
"""

import ctypes
import os
import sys

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
ORDER = (("user", CLONE_NEWUSER), ("net", CLONE_NEWNET), ("mnt", CLONE_NEWNS), ("pid", CLONE_NEWPID))
PR_SET_PDEATHSIG, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, SIGKILL = 1, 47, 2, 9
LINUX_CAPABILITY_VERSION_3 = 0x20080522
LAST_CAPABILITY = 40


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def join(init_pid: int) -> None:
    """Join the namespaces of `init_pid`; OSError where the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    files = [(os.open(f"/proc/{init_pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), name, flag) for name, flag in ORDER]
    for file, name, flag in files:
        if libc.setns(file, flag) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"cannot join the {name} namespace of process {init_pid}: {os.strerror(number)}")


def keep_capabilities() -> None:
    """Make every permitted capability inheritable and ambient, so that the next program has them too."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = _Header(LINUX_CAPABILITY_VERSION_3, 0), (_Data * 2)()
    if libc.capget(ctypes.byref(header), data) != 0:
        raise OSError(ctypes.get_errno(), "capget failed")
    for half in data:
        half.inheritable = half.permitted
    if libc.capset(ctypes.byref(header), data) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)  # those not permitted are refused; that is right


def main(arguments: list[str]) -> int:
    init_pid, command = int(arguments[0]), arguments[1:]
    try:
        join(init_pid)
    except OSError as refused:
        sys.stderr.write(f"{refused}\n")
        return 125
    child = os.fork()  # a pid namespace holds only the children of whoever joined it
    if child == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        try:
            keep_capabilities()
            os.execvp(command[0], command)
        except OSError as refused:
            sys.stderr.write(f"{command[0]}: {refused}\n")
            os._exit(126)
    import signal

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda received, _: os.kill(child, received))
    while True:
        try:
            _, status = os.waitpid(child, 0)
        except InterruptedError:
            continue
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
