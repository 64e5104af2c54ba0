"""Frames of a capture: the arguments for tshark, its answer as data, and the bytes of a pcap file. Pure.

Owns these two formats: tshark's `-T json` with `-e` (each field a list of texts, so that no separator can collide with a value), and
pcap as tcpdump writes it (draft-ietf-opsawg-pcap, 3 and 4). Running tshark and reading files is `engine/evidence.py`'s.
"""

import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labctl.lab.model import Text

NUMBER = "frame.number"
HEADER, RECORD = 24, 16
MAGIC = {0xA1B2C3D4, 0xA1B23C4D}  # microseconds, nanoseconds
SETTINGS = {"WIRESHARK_CONFIG_DIR": "/nonexistent"}  # a person's own preferences must not change a verdict
_MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_NOISE = ("Running as user ", "Capturing on ")


@dataclass(frozen=True)
class Frame:
    """A frame that matched: its number in the capture from 1, the values of the fields asked for, its bytes."""

    number: int
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    data: bytes = b""


@dataclass(frozen=True)
class Sight:
    """What was seen at one interface: the matching frames, and how many passed in all. `trouble`: it could not be looked at."""

    frames: tuple[Frame, ...] = ()
    passed_in_all: int = 0
    trouble: Text | None = None


def tshark_argv(pcap: Path, display_filter: str, fields: Sequence[str]) -> tuple[str, ...]:
    """Two passes, so that fields that point forward (`http.response_in`) are there as in Wireshark's window."""
    shown = [word for name in (NUMBER, *fields) for word in ("-e", name)]
    matching = ["-Y", display_filter] if display_filter else []
    return ("tshark", "-n", "-2", "-r", str(pcap), *matching, "-T", "json", *shown)


def parse_frames(text: str) -> tuple[Frame, ...]:
    """tshark's answer; ValueError if it is something else."""
    try:
        entries = json.loads(text)
        layers = [entry["_source"]["layers"] for entry in entries]
        return tuple(Frame(int(fields[NUMBER][0]), {name: tuple(map(str, found)) for name, found in fields.items()}) for fields in layers)
    except (KeyError, TypeError, IndexError, ValueError, RecursionError) as nonsense:
        raise ValueError(f"tshark's answer cannot be read: {nonsense!r}") from nonsense


def tshark_complaint(stderr: str) -> str:
    """What tshark says is wrong, without its remarks."""
    return "\n".join(line for line in stderr.splitlines() if line.strip() and not line.startswith(_NOISE)).strip()


def read_records(data: bytes) -> tuple[bytes, ...]:
    """The bytes of every frame in a pcap file, in order; ValueError if it is none or was cut off."""
    order = next((order for order in "<>" if len(data) >= HEADER and struct.unpack(f"{order}I", data[:4])[0] in MAGIC), None)
    if order is None:
        raise ValueError("it is no pcap file" if data else "it is empty")
    frames, at = [], HEADER
    while at < len(data):
        if at + RECORD > len(data):
            raise ValueError("it is cut off")
        length = struct.unpack(f"{order}I", data[at + 8 : at + 12])[0]
        at += RECORD
        if at + length > len(data):
            raise ValueError("it is cut off")
        frames.append(data[at : at + length])
        at += length
    return tuple(frames)


def with_bytes(frames: Sequence[Frame], records: Sequence[bytes]) -> tuple[Frame, ...]:
    return tuple(Frame(frame.number, frame.values, records[frame.number - 1]) for frame in frames)


def plain_value(value: str) -> str:
    """A field's value in the form that is compared: MACs in lower case, 0x0800 as 2048, truth as 1 or 0 (tshark 4.2 says True)."""
    if _MAC.fullmatch(value):
        return value.lower()
    if re.fullmatch(r"0[xX][0-9A-Fa-f]+", value):
        return str(int(value, 16))
    return {"True": "1", "False": "0"}.get(value, value)


def values_of(frames: Sequence[Frame], name: str) -> frozenset[str]:
    """Every value that `name` has in these frames, also where a frame holds it twice."""
    return frozenset(plain_value(value) for frame in frames for value in frame.values.get(name, ()))
