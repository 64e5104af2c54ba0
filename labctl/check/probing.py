"""The program that probes in a node while a scenario runs, and what it prints, read. Pure.

Owns its lines: `s NUMBER TIME` when a probe is sent, `a NUMBER TIME` when its answer came, TIME by the node's clock since its boot. A
probe that finds no way is sent and not answered. It goes on until it is stopped.
"""

import shlex
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from labctl.lab.scenarios import PingProbe, Probe
from labctl.lab.values import seconds_of

PROGRAM = """\
import os, select, socket, struct, sys, time
kind, target, port, request, every = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], float(sys.argv[5])
GIVE_UP_S = 10

def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)

def say(what, number):
    print(what, number, format(now(), ".6f"), flush=True)

def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff

class Ping:
    def __init__(self, family, address):
        self.six, self.address, self.ident = family == socket.AF_INET6, address, os.getpid() & 0xffff
        self.wire = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if self.six else socket.IPPROTO_ICMP)
        self.wire.setblocking(False)

    def send(self, number):
        head = struct.pack("!BBHHH", 128 if self.six else 8, 0, 0, self.ident, number & 0xffff)
        data = b"labctl probe...."
        if not self.six:
            head = head[:2] + struct.pack("!H", checksum(head + data)) + head[4:]
        try:
            self.wire.sendto(head + data, self.address)
        except OSError:
            pass

    def waits(self):
        return [self.wire], []

    def look(self, readable, writable):
        while True:
            try:
                data = self.wire.recv(2048)
            except OSError:
                return
            data = data if self.six else data[(data[0] & 15) * 4:]
            kind, code, _, ident, number = struct.unpack("!BBHHH", data[:8])
            if kind == (129 if self.six else 0) and ident == self.ident:
                say("a", number)

class Http:
    def __init__(self, family, address):
        self.family, self.address, self.open = family, address, {}

    def send(self, number):
        wire = socket.socket(self.family, socket.SOCK_STREAM)
        wire.setblocking(False)
        wire.connect_ex(self.address)
        self.open[wire] = [number, now(), False]

    def waits(self):
        return [wire for wire, one in self.open.items() if one[2]], [wire for wire, one in self.open.items() if not one[2]]

    def look(self, readable, writable):
        for wire in writable:
            try:
                wire.send(request.encode())
                self.open[wire][2] = True
            except OSError:
                self.close(wire)
        for wire in readable:
            try:
                words = wire.recv(4096).split(None, 2)
            except OSError:
                words = []
            if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit() and int(words[1]) < 400:
                say("a", self.open[wire][0])
            self.close(wire)
        for wire in [wire for wire, one in self.open.items() if now() - one[1] > GIVE_UP_S]:
            self.close(wire)

    def close(self, wire):
        del self.open[wire]
        wire.close()

stream = socket.SOCK_STREAM if kind == "http" else socket.SOCK_RAW
family, _, _, _, address = socket.getaddrinfo(target, port or None, type=stream)[0]
probe = Http(family, address) if kind == "http" else Ping(family, address)
begin, number = now(), 0
while True:
    readable, writable = probe.waits()
    found = select.select(readable, writable, [], max(0, begin + number * every - now()))
    probe.look(found[0], found[1])
    if now() >= begin + number * every:
        say("s", number)
        probe.send(number)
        number += 1
"""
MOST_NUMBERS = 65536  # sequence numbers of echo requests


@dataclass(frozen=True)
class Line:
    """A line of the program: sent or answered, which probe, when by the node's clock."""

    answer: bool
    number: int
    at_s: float


def render_prober(probe: Probe) -> str:
    """The shell command that probes until it is stopped."""
    node_and_target = probe.ping if isinstance(probe, PingProbe) else probe.http
    target = node_and_target.partition(" -> ")[2]
    words = ("ping", target, "0", "") if isinstance(probe, PingProbe) else ("http", *_http_words(target))
    return f"python3 -I -S -c {shlex.quote(PROGRAM)} {' '.join(map(shlex.quote, words))} {seconds_of(probe.every):g}"


def _http_words(target: str) -> tuple[str, str, str]:
    """Host, port, request of an address, a node's name or a URL."""
    url = urlsplit(target if "://" in target else f"http://{_bracketed(target)}/")
    host = url.hostname or ""
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return host, str(url.port or 80), f"GET {path} HTTP/1.0\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n"


def _bracketed(target: str) -> str:
    try:
        return f"[{target}]" if ip_address(target).version == 6 else target
    except ValueError:
        return target


def parse_line(text: str) -> Line | None:
    """A line of the program; None for anything else."""
    words = text.split()
    if len(words) != 3 or words[0] not in ("s", "a") or not words[1].isdigit():
        return None
    try:
        return Line(words[0] == "a", int(words[1]), float(words[2]))
    except ValueError:
        return None
