"""Small real captures, byte by byte: ICMP and UDP in Ethernet frames, in a pcap file. For tests that run tshark."""

import struct
from collections.abc import Sequence
from pathlib import Path

ECHO_REQUEST, ECHO_REPLY = 8, 0


def ethernet(source: str, target: str, payload: bytes, kind: int = 0x0800) -> bytes:
    return bytes.fromhex((target + source).replace(":", "")) + struct.pack(">H", kind) + payload


def ipv4(source: str, target: str, protocol: int, payload: bytes, ttl: int = 64) -> bytes:
    addresses = b"".join(bytes(int(part) for part in address.split(".")) for address in (source, target))
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, ttl, protocol, 0) + addresses + payload


def icmp(kind: int, sequence: int, data: bytes = b"labctl") -> bytes:
    message = struct.pack(">BBHHH", kind, 0, 0, 77, sequence) + data
    return message[:2] + struct.pack(">H", checksum(message)) + message[4:]


def checksum(data: bytes) -> int:
    """RFC 1071; `data` has an even length."""
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def udp(source_port: int, target_port: int, data: bytes) -> bytes:
    return struct.pack(">HHHH", source_port, target_port, 8 + len(data), 0) + data


def ping_frame(source: tuple[str, str], target: tuple[str, str], sequence: int, kind: int = ECHO_REQUEST) -> bytes:
    """From (MAC, address) to (MAC, address)."""
    return ethernet(source[0], target[0], ipv4(source[1], target[1], 1, icmp(kind, sequence)))


def pcap(frames: Sequence[bytes], order: str = "<") -> bytes:
    head = struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    records = (
        struct.pack(f"{order}IIII", 1_700_000_000 + number, 0, len(frame), len(frame)) + frame for number, frame in enumerate(frames)
    )
    return head + b"".join(records)


def write_pcap(file: Path, frames: Sequence[bytes]) -> Path:
    file.write_bytes(pcap(frames))
    return file
