"""Files that a lab or a role brings along, read without ever leaving its directory.

Owns the refusal of absolute paths, `..`, symbolic links that lead out, devices and files that are too large. A lab may come from a
stranger (design §7): nothing of this machine may travel into a guest by way of it.
"""

import re
import stat
from pathlib import Path, PurePosixPath

MAX_FILE = 64 * 1024 * 1024
MAX_TEXT = 1024 * 1024
MAX_ROLE_FILES = 256
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def path_inside(directory: Path, name: str) -> Path:
    """The file `name` of `directory`; ValueError says why it is none, or lies outside."""
    parts = PurePosixPath(name).parts
    if not name or _CONTROL.search(name):
        raise ValueError(f"`{_CONTROL.sub('?', name)}` is no file name")
    if name.startswith(("/", "~")):
        raise ValueError(f"`{name}` is an absolute path; files are taken from the lab's directory only")
    if ".." in parts:
        raise ValueError(f"`{name}` leads out of the lab's directory by ..")
    path, root = directory / name, directory.resolve()
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise ValueError(f"no file `{name}` in the lab's directory") from None
    if not real.is_relative_to(root):
        raise ValueError(f"`{name}` leads out of the lab's directory by a symbolic link")
    return real


def read_inside(directory: Path, name: str, limit: int = MAX_FILE) -> bytes:
    """The content of the regular file `name` of `directory`; ValueError says why there is none."""
    path = path_inside(directory, name)
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise ValueError(f"`{name}` is no regular file")
        if state.st_size > limit:
            raise ValueError(f"`{name}` has {state.st_size:,} bytes; at most {limit:,}")
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"`{name}` cannot be read: {error.strerror}") from None


def read_texts(root: Path, below: str, prefix: str = "") -> dict[str, str]:
    """All files in the directory `below` of `root` as text, by their path in it; what is no UTF-8 is left out. ValueError as above."""
    place = root / below
    names = sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if not path.is_dir())
    if len(names) > MAX_ROLE_FILES:
        raise ValueError(f"{len(names)} files; a role has at most {MAX_ROLE_FILES}")
    texts = {}
    for name in names:
        content = read_inside(root, f"{below}/{name}", MAX_TEXT)
        try:
            texts[prefix + name] = content.decode("utf-8")
        except UnicodeDecodeError:
            continue
    return texts


def check_target(path: str) -> str:
    """A path in a node that a file may have; ValueError says why not."""
    parts = path.split("/")
    if not path.startswith("/") or path.endswith("/"):
        raise ValueError(f"`{_CONTROL.sub('?', path)}` is no absolute path of a file in the node")
    if _CONTROL.search(path) or ".." in parts or "." in parts or "" in parts[1:] or len(path) > 1024:
        raise ValueError(f"`{_CONTROL.sub('?', path)[:80]}` is no plain path: no `..`, `//` or control characters, at most 1024 long")
    return path


def check_text(content: bytes, name: str) -> None:
    """A template is UTF-8; ValueError where it is not."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"`{name}` is a template, which must be UTF-8") from None
