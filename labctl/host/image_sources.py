"""Where packages come from: the distribution's own servers, or those of this machine's apt where it is a Debian one.

Owns what is asked of the host's apt (apt-get indextargets, apt-config dump). No server's name stands in our code: without an
answer mmdebstrap's own knowledge is used, and an image made by it says its own sources.
"""

from functools import cache
from pathlib import Path

from labctl.errors import CommandError, HostError
from labctl.host.run import run

SUITE = "bookworm"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
FIELDS = "$(REPO_URI) $(RELEASE) $(CODENAME) $(ORIGIN) $(COMPONENT)"
PROXIES = ("Acquire::http::Proxy", "Acquire::https::Proxy")


def keyring() -> Path:
    """Debian's keys; `HostError` where they are not installed."""
    if not KEYRING.exists():
        raise HostError("Debian's keys are not on this machine", why=f"there is no {KEYRING}", hint="apt install debian-archive-keyring")
    return KEYRING


def parse_targets(text: str, suite: str) -> tuple[str, ...]:
    """Lines for sources.list(5) from apt's index targets: Debian's own, of this suite and its updates, component main, by http."""
    found: dict[tuple[str, str], None] = {}
    for line in text.splitlines():
        uri, release, codename, origin, component, *_ = [*line.split(), "", "", "", "", ""]
        of_suite = codename.startswith(suite) and not codename.endswith("-backports")
        if of_suite and origin == "Debian" and component == "main" and uri.startswith(("http://", "https://")):
            found[(uri, release)] = None
    has_suite = any(release == suite for _, release in found)
    return tuple(f"deb {uri} {release} main" for uri, release in found) if has_suite else ()


@cache
def host_source_lines() -> tuple[str, ...]:
    """This machine's own Debian sources, empty where it has none for the suite."""
    try:
        text = run(["apt-get", "indextargets", "--format", FIELDS, "Created-By: Packages"], timeout_s=30).text
    except (CommandError, HostError):
        return ()
    return parse_targets(text, SUITE)


def parse_proxies(text: str) -> tuple[str, ...]:
    """Lines for apt.conf(5) with the proxies in `apt-config dump`."""
    return tuple(line.strip() for line in text.splitlines() if line.split(" ")[0] in PROXIES and not line.rstrip().endswith('"";'))


@cache
def apt_options() -> tuple[str, ...]:
    """apt's settings of this machine that a build needs too: its proxies."""
    try:
        return parse_proxies(run(["apt-config", "dump"], timeout_s=30).text)
    except (CommandError, HostError):
        return ()
