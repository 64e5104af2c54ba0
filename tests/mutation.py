"""Files with something changed, made from good ones by a seed: what fuzzing of the lab reader, of the state reader and of the agent's
protocol has in common. The same seed makes the same files.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NASTY = (
    b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\x1b[2J", b"\t", b"\r", b"\n---\n", b"\n...\n", b": ", b"- ", b"{", b"}", b"[", b"]", b"&a ",
    b"*a", b"<<: ", b"!!python/object/apply:os.system ", b"? ", b"| ", b"> ", b"%YAML 9.9\n", b"# ", b"'", b'"', b"\\", b"~", b"null",
    b"..", b"../../etc/passwd", b"/etc/passwd", b"$(id)", b"`id`", b";id", b"{{ 1 }}", b"{% for x in y %}", b"</name><x>", b"--", b"-1",
    b"1e999",
    b"9" * 400, b"0x", b"NaN", b".inf", b"True", b"=", b"<", b"[" * 200, b"{a: " * 60, b"a" * 3000, "日本語".encode(), "\u202e".encode(),
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """`of`: the number of the file that it was made from."""

    seed: int
    of: int
    content: bytes


def mutants(originals: Sequence[bytes], count: int, *, first: int = 0) -> Iterator[Mutant]:
    """`count` changed files, made with the seeds from `first` on."""
    for seed in range(first, first + count):
        rng = random.Random(seed)
        of = rng.randrange(len(originals))
        content = originals[of]
        for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
            content = change(rng, content, originals)
        yield Mutant(seed, of, content)


def change(rng: random.Random, content: bytes, originals: Sequence[bytes]) -> bytes:
    """One change: bytes, words, lines, blocks, indentation, or a piece of another file."""
    at = rng.randrange(len(content) + 1)
    lines = content.split(b"\n")
    line = rng.randrange(len(lines))
    other = rng.choice(originals)
    match rng.randrange(11):
        case 0:
            return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
        case 1:
            return content[:at] + rng.choice(NASTY) + content[at:]
        case 2:
            return content[:at] + content[at + rng.randrange(1, 40) :]
        case 3:
            return content[:at]
        case 4:
            return b"\n".join([*lines[:line], *lines[line + 1 :]])
        case 5:
            return b"\n".join([*lines[:line], lines[line], *lines[line:]])
        case 6:
            lines[line] = b" " * rng.randrange(9) + lines[line].lstrip()
            return b"\n".join(lines)
        case 7:
            theirs = other.split(b"\n")
            start = rng.randrange(len(theirs))
            return b"\n".join([*lines[:line], *theirs[start : start + rng.randrange(1, 20)], *lines[line:]])
        case 8:
            return _word(rng, content, rng.choice(NASTY))
        case 9:
            return _word(rng, content, rng.choice(other.split() or [b""]))
        case _:
            two = rng.randrange(len(lines))
            lines[line], lines[two] = lines[two], lines[line]
            return b"\n".join(lines)


def _word(rng: random.Random, content: bytes, new: bytes) -> bytes:
    """`content` with one of its words (values mostly) replaced."""
    words = [place for place in range(1, len(content)) if content[place - 1 : place].isspace() and not content[place : place + 1].isspace()]
    if not words:
        return new
    start = rng.choice(words)
    end = start
    while end < len(content) and content[end : end + 1] not in (b" ", b"\n", b",", b"]", b"}"):
        end += 1
    return content[:start] + new + content[end:]
