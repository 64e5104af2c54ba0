"""End-to-end tests: real virtual machines, through the command that a person types, as an ordinary user.

The state directory is a test's own and is looked at from the host afterwards; images come from the user's real cache, so that
they are built once.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

INSTALLED = Path(sys.executable).with_name("labctl")  # the wheel, where make test has put it
COMMAND = (str(INSTALLED),) if INSTALLED.exists() else (sys.executable, "-m", "labctl.cli")


# In a node: labctl's program has ended there. Its answer comes first, so it may be a moment before.
NOBODY_WAITS = "for try in $(seq 100); do pgrep -f '[l]abctl.worker' >/dev/null || exit 0; sleep 0.1; done; exit 1"


@dataclass
class Labctl:
    """The command, with a state directory of its own."""

    state: Path
    environment: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()  # what the command is started by, where it must see another file system

    def __post_init__(self) -> None:
        self.environment = {**os.environ, "XDG_STATE_HOME": str(self.state), "LANG": "en_US.UTF-8", "NO_COLOR": "1"}

    def __call__(
        self, *words: str, status: int | None = 0, timeout_s: float = 900, stdin: bytes = b""
    ) -> "subprocess.CompletedProcess[bytes]":
        done = subprocess.run(
            (*self.prefix, *COMMAND, *words), input=stdin, capture_output=True, timeout=timeout_s, env=self.environment, check=False
        )
        if status is not None and done.returncode != status:
            pytest.fail(
                f"labctl {' '.join(words)} ended with {done.returncode}, not {status}\n"
                f"{done.stdout.decode(errors='replace')[-6000:]}\n{done.stderr.decode(errors='replace')[-6000:]}"
            )
        return done

    def text(self, *words: str, **options: Any) -> str:
        return self(*words, **options).stdout.decode()

    def json(self, *words: str, **options: Any) -> Any:
        return json.loads(self.text(*words, "--json", **options))

    @property
    def instances(self) -> Path:
        return self.state / "labctl" / "instances"

    def record(self, instance: str) -> Any:
        return json.loads((self.instances / instance / "instance.json").read_text())

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen((*self.prefix, *COMMAND, *words), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def new_labctl(place: Path) -> Iterator[Labctl]:
    labctl = Labctl(place)
    yield labctl
    for record in labctl.instances.glob("*/instance.json"):
        labctl("down", "--instance", record.parent.name, status=None)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_works() -> None:
    """Where the tests run in the background, a shell lets them ignore SIGINT, and so would what they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _never_as_root() -> None:
    assert os.getuid() != 0, "end-to-end tests run as an ordinary user: make test sees to it"


@pytest.fixture
def labctl(tmp_path: Path) -> Iterator[Labctl]:
    """A labctl with an empty state directory; what is still up at the end is taken down."""
    yield from new_labctl(tmp_path)


@pytest.fixture(scope="module")
def shared_labctl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labctl]:
    """The same for all tests of a module."""
    yield from new_labctl(tmp_path_factory.mktemp("state"))
