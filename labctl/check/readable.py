"""Text from a guest, made fit for a person's screen: no terminal escapes, no text that reads backwards, not too long.

Owns what is shown of such a text; the text that is judged stays as it was. Guests are not trusted: a lab comes from a stranger.
"""

LONGEST = 600
LONGEST_LINE = 200
CONTROL_PICTURES = 0x2400  # U+2400… shows U+0000…U+001F
DELETE, DELETE_PICTURE = 0x7F, "\u2421"
KEPT = "\n\t"
TURNS_AROUND = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}  # bidirectional controls, Unicode TR 9
NO_CHARACTER = {0xFFFE, 0xFFFF, *range(0xD800, 0xE000)}  # not allowed in XML 1.0, 2.2, nor in UTF-8


def readable(text: str | bytes, longest: int = LONGEST) -> str:
    """`text` without outer white space, control characters shown as pictures, long texts cut in the middle."""
    plain = text.decode(errors="replace") if isinstance(text, bytes) else text
    plain = plain.replace("\r\n", "\n").strip()
    return harmless(_cut(plain, longest))


def harmless(text: str) -> str:
    """`text` with every character that a terminal might obey, or that hides others, shown as a picture or a number."""
    return text if text.isascii() and text.isprintable() else "".join(map(_harmless, text))


def one_line(text: str | bytes, longest: int = LONGEST_LINE) -> str:
    """The same in one line: for commands and for the last word of a failure."""
    return readable(" ⏎ ".join(line.strip() for line in readable(text, 4 * longest).splitlines() if line.strip()), longest)


def last_line(text: str | bytes) -> str:
    lines = readable(text, LONGEST).splitlines()
    return one_line(lines[-1]) if lines else ""


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    head, tail = longest * 2 // 3, longest // 3
    return f"{text[:head]} … {text[-tail:]}"


def _harmless(character: str) -> str:
    code = ord(character)
    if character in KEPT:
        return character
    if code < 0x20:
        return chr(CONTROL_PICTURES + code)
    if code == DELETE:
        return DELETE_PICTURE
    hidden = 0x80 <= code < 0xA0 or code in TURNS_AROUND or code in NO_CHARACTER
    return f"\\u{code:04x}" if hidden else character
