"""Who labctl runs as, and what that account may do: not root, subordinate ids, namespaces allowed.

Owns the probes and the reading of /etc/subuid, /etc/group and the kernel's switches. The trial of an instance's own namespaces is
`host/kernel_features`'s; this file explains its refusal.
"""

import grp
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import LabError
from labctl.host.finding import Argv, Finding, State
from labctl.host.run import clean_environment, run

SUBUID = Path("/etc/subuid")
SUBGID = Path("/etc/subgid")
FIRST_SUBORDINATE = 100_000
NEEDED_IDS = 65_536  # an image's files belong to ids 0 to 65534
USERNS_SWITCHES = {  # sysctl → the value that forbids
    "user/max_user_namespaces": "0",
    "user/max_net_namespaces": "0",
    "kernel/unprivileged_userns_clone": "0",
    "kernel/apparmor_restrict_unprivileged_userns": "1",
}
APPARMOR = "kernel/apparmor_restrict_unprivileged_userns"
APPARMOR_PROFILE = Path("/etc/apparmor.d/labctl-unshare")


@dataclass(frozen=True)
class Account:
    """The user that labs run as. `groups`: by the group file, so a new membership shows before the next login."""

    name: str
    uid: int
    groups: tuple[str, ...]


def this_account() -> Account:
    uid = os.geteuid()
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(str(uid), uid, ())
    groups = [group.gr_name for group in grp.getgrall() if entry.pw_name in group.gr_mem or group.gr_gid == entry.pw_gid]
    return Account(entry.pw_name, uid, tuple(groups))


def probe_account(account: Account) -> Finding:
    """Root is refused: with mapped ids its QEMUs would keep uid 0 on files."""
    if account.uid != 0:
        return Finding("account", State.OK, f"labctl runs as {account.name}, an ordinary user")
    hint = "labctl --as USER …, or log in as an ordinary user; as root, `make demo` and `make test` make a user labctl"
    why = "labs run as an ordinary user, so that they cannot harm this machine"
    return Finding("account", State.FAIL, "labctl runs as root", why, hint)


def ranges_of(text: str, account: Account) -> list[tuple[int, int]]:
    """(first, count) of each range that /etc/subuid or /etc/subgid gives to the account, by name or number; subuid(5)."""
    fields = [line.split(":") for line in text.splitlines() if line.count(":") == 2]
    return [(int(first), int(count)) for owner, first, count in fields if owner in (account.name, str(account.uid)) and count.isdigit()]


def next_free_range(*texts: str) -> tuple[int, int]:
    """First and last id of a range that nobody in these files has: the same for users and groups."""
    fields = [line.split(":") for text in texts for line in text.splitlines() if line.count(":") == 2]
    ends = [int(first) + int(count) for _, first, count in fields if first.isdigit() and count.isdigit()]
    first = max([FIRST_SUBORDINATE, *ends])
    return first, first + NEEDED_IDS - 1


def probe_subordinate_ids(account: Account, subuid: Path = SUBUID, subgid: Path = SUBGID) -> Finding:
    """Images hold files of many owners: making one needs subordinate ids and newuidmap (really tried)."""
    texts = [file.read_text() if file.exists() else "" for file in (subuid, subgid)]
    missing = [not any(count >= NEEDED_IDS for _, count in ranges_of(text, account)) for text in texts]
    if any(missing):
        first, last = next_free_range(*texts)
        options = [word for word, lacks in zip(("--add-subuids", "--add-subgids"), missing, strict=True) if lacks]
        fix: Argv = ("usermod", *(word for option in options for word in (option, f"{first}-{last}")), account.name)
        why = f"{NEEDED_IDS} ids are needed in {subuid} and {subgid} to build images"
        return Finding("subordinate-ids", State.FAIL, f"{account.name} has no subordinate ids", why, "labctl doctor --fix", (fix,))
    if shutil.which("newuidmap", path=clean_environment()["PATH"]) is None:
        return Finding("subordinate-ids", State.FAIL, "newuidmap is not installed", "it maps the subordinate ids", "see `programs`")
    refused = refusal_of(("unshare", "--user", "--map-root-user", "--map-auto", "true"))
    if refused:
        hint = "is newuidmap setuid root? see `namespaces` too"
        return Finding("subordinate-ids", State.FAIL, "subordinate ids cannot be mapped", refused, hint)
    return Finding("subordinate-ids", State.OK, f"{account.name} has subordinate ids, and they can be mapped")


def refusal_of(argv: Argv) -> str:
    """What the command says when it is refused, in one line; empty if it works."""
    try:
        result = run(argv, timeout_s=5, check=False)
    except LabError as error:
        return str(error)
    return "" if result.status == 0 else (result.complaint.replace("\n", "; ") or f"status {result.status}")


def forbidding_switches(sysctls: Path = Path("/proc/sys")) -> list[str]:
    """The kernel's switches that stand against unprivileged namespaces, as paths below /proc/sys."""
    values = {name: (sysctls / name).read_text().strip() for name in USERNS_SWITCHES if (sysctls / name).exists()}
    return [name for name, value in values.items() if value == USERNS_SWITCHES[name]]


def explain_refused_namespaces(why: str, switches: list[str], profile: Path) -> Finding:
    """The finding for a machine that lets this user make no namespaces: which switch forbids it, and what mends that. Pure."""
    what = "this user cannot make namespaces"
    if APPARMOR in switches:
        fix: tuple[Argv, ...] = (
            ("install", "-m", "0644", str(profile), str(APPARMOR_PROFILE)),
            ("apparmor_parser", "-r", str(APPARMOR_PROFILE)),
        )
        reason = f"AppArmor restricts unprivileged user namespaces ({APPARMOR.replace('/', '.')} = 1); {why}"
        hint = f"labctl doctor --fix installs a profile that allows them to /usr/bin/unshare: {profile}"
        return Finding("namespaces", State.FAIL, what, reason, hint, fix)
    if switches:
        wanted = {"0": "15000", "1": "0"}
        name = switches[0]
        value = "1" if name.endswith("_clone") else wanted[USERNS_SWITCHES[name]]
        setting = f"{name.replace('/', '.')}={value}"
        hint = f"labctl doctor --fix until the next boot; for good: echo {setting} | sudo tee /etc/sysctl.d/60-labctl.conf"
        reason = f"{name.replace('/', '.')} = {USERNS_SWITCHES[name]}; {why}"
        return Finding("namespaces", State.FAIL, what, reason, hint, (("sysctl", "-w", setting),))
    return Finding("namespaces", State.FAIL, what, why, "in a container: see `surroundings`; elsewhere: the kernel lacks user namespaces")
