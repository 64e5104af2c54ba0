"""Captures of several interfaces as one: pcap as tcpdump streams it is read, pcapng with the lab's interface names is written. Pure.

Owns the two formats (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng) as far as they are needed, and the order: by time, whatever
order the streams came in.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

HEADER, RECORD = 24, 16
MICRO, NANO = 0xA1B2C3D4, 0xA1B23C4D
ETHERNET = 1
SNAPLEN = 262144
SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
IF_NAME, IF_TSRESOL = 2, 9


@dataclass(frozen=True, order=True)
class Record:
    """A frame: when it passed, in nanoseconds since 1970, at which interface (its number), its bytes."""

    at_ns: int
    interface: int
    data: bytes


@dataclass
class PcapReader:
    """Takes a pcap stream in pieces of any size and gives back its frames."""

    interface: int
    _rest: bytes = b""
    _order: str = ""
    _unit_ns: int = field(default=1000)

    def feed(self, piece: bytes) -> list[Record]:
        """The frames that are whole by now; ValueError if it is no pcap."""
        self._rest += piece
        if not self._order:
            if len(self._rest) < HEADER:
                return []
            self._begin()
        return list(self._whole())

    def _begin(self) -> None:
        for order in "<>":
            (magic,) = struct.unpack(f"{order}I", self._rest[:4])
            if magic in (MICRO, NANO):
                self._order, self._unit_ns, self._rest = order, 1000 if magic == MICRO else 1, self._rest[HEADER:]
                return
        raise ValueError("it is no pcap stream")

    def _whole(self) -> Iterator[Record]:
        while len(self._rest) >= RECORD:
            seconds, part, length, _ = struct.unpack(f"{self._order}IIII", self._rest[:RECORD])
            if len(self._rest) < RECORD + length:
                return
            data, self._rest = self._rest[RECORD : RECORD + length], self._rest[RECORD + length :]
            yield Record(seconds * 1_000_000_000 + part * self._unit_ns, self.interface, data)


def render_head(names: Sequence[str]) -> bytes:
    """The beginning of a pcapng: a section, and an interface for each name."""
    section = _block(SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    return section + b"".join(_block(INTERFACE, struct.pack("<HHI", ETHERNET, 0, SNAPLEN) + _options(name)) for name in names)


def render_record(record: Record) -> bytes:
    """An enhanced packet block."""
    size = len(record.data)
    fixed = struct.pack("<IIIII", record.interface, record.at_ns >> 32, record.at_ns & 0xFFFFFFFF, size, size)
    return _block(PACKET, fixed + _padded(record.data))


def _options(name: str) -> bytes:
    text = name.encode()
    options = struct.pack("<HH", IF_NAME, len(text)) + _padded(text)
    return options + struct.pack("<HHB3x", IF_TSRESOL, 1, 9) + struct.pack("<HH", 0, 0)


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
