"""Text of a person's machine made fit to be given away: names and addresses of the person and of the machine become words. Pure.

Owns what is taken out and by what it is replaced. What a lab itself is made of (its nodes' names and addresses) stays: a report about a
lab says nothing without it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

PLAIN = {"labctl", "root", "nobody", "user", "localhost", "host", "local", "localdomain", "debian", "ubuntu", "home"}  # nobody's names
SHORTEST = 2
# Bounded, and begun at a word's beginning only: a guest may have printed a megabyte without a blank.
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s\"']{1,200}@")
_MAIL = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,8}")
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_SECRET = re.compile(r"(?i)(\b(?:password|passwd|secret|token)\b[\"']?\s{0,9}[:=]\s{0,9}[\"']?)[^\s\"',}]+")
_OTHERS_HOME = re.compile(r"(?<![A-Za-z0-9])/home/[^/\s\"':,]+")


@dataclass(frozen=True)
class Person:
    """What is known of who reports, and of the machine. `homes`: paths, the longest names first in the text."""

    names: tuple[str, ...]
    homes: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()  # host names, domains
    addresses: tuple[str, ...] = ()  # IPv4, IPv6 and MAC addresses of the machine and of its name servers


def redact(text: str, person: Person) -> str:
    """`text` without what tells who and where."""
    text = _KEY.sub("[private key]", text)
    text = _CREDENTIALS.sub("[credentials]@", text)
    text = _SECRET.sub(r"\1[secret]", text)
    for home in _longest_first(home.rstrip("/") for home in person.homes if len(home.rstrip("/")) > 1):
        text = re.sub(rf"{re.escape(home)}(?![A-Za-z0-9_-])", "~", text)
    text = _OTHERS_HOME.sub("/home/[user]", text)
    text = _MAIL.sub("[mail]", text)
    for address in _longest_first(address for address in person.addresses if _tells_where(address)):
        text = re.sub(rf"(?<![0-9A-Fa-f:.]){re.escape(address)}(?![0-9A-Fa-f:]|\.[0-9])", "[address]", text, flags=re.IGNORECASE)
    text = _without(text, person.machines, "[machine]")
    return _without(text, person.names, "[user]")


def _without(text: str, names: Sequence[str], word: str) -> str:
    for name in _longest_first(name for name in names if len(name) >= SHORTEST and name.lower() not in PLAIN):
        text = re.sub(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", word, text, flags=re.IGNORECASE)
    return text


def _longest_first(words: Iterable[str]) -> list[str]:
    return sorted(set(words), key=lambda word: (-len(word), word))


def _tells_where(address: str) -> bool:
    """A loopback or an address of every machine tells nothing."""
    try:
        found = ip_address(address)
    except ValueError:
        return address.count(":") == 5 and set(address) > {":"} and address.strip("0:") != ""  # a MAC
    return not (found.is_loopback or found.is_unspecified)
