"""What `status` says of a machine that exists and is of no use."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labctl.engine.status import last_panic

PANIC = b"""\
[    5.0] sysrq: Trigger a crash
[    5.1] Kernel panic - not syncing: sysrq triggered crash
[    5.2] CPU: 0 PID: 300 Comm: sh Not tainted 6.1.0-cloud-amd64
[    5.3] Call Trace:
[    5.4] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---
"""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (PANIC, "sysrq triggered crash"),
        (b"x" * 100_000 + PANIC, "sysrq triggered crash"),
        (PANIC + b"Debian GNU/Linux 12 pc1 ttyS0\r\n\r\npc1 login: root\r\nroot@pc1:~# \r\n", ""),
        (b"", ""),
        (b"pc1 login:", ""),
        (b"---[ end Kernel panic - not syncing: \x1b]0;evil\x07 ]---", "\u241b]0;evil\u2407"),
        (b"Kernel panic - not syncing", "no reason given"),
    ],
)
def test_the_last_words_of_a_kernel_are_told_and_harmless(tmp_path: Path, said: bytes, told: str) -> None:
    log = tmp_path / "serial-pc1.log"
    log.write_bytes(said)
    assert last_panic(log, 60.0) == told


def test_a_panic_of_an_earlier_machine_is_not_this_ones(tmp_path: Path) -> None:
    log = tmp_path / "serial-pc1.log"
    log.write_bytes(PANIC)
    os.utime(log, (time.time() - 100,) * 2)
    assert last_panic(log, 60.0) == ""
    assert last_panic(log, 110.0) != ""
    assert last_panic(tmp_path / "none", 60.0) == ""


def test_to_ask_an_instance_no_lab_is_read_and_no_template() -> None:
    """What `status`, `exec` and `link show` import: the lab's models and Jinja2 take longer than the answer."""
    modules = "labctl.engine.status, labctl.engine.access, labctl.engine.links"
    program = f"import sys, {modules}; print(sorted({{'jinja2', 'pydantic', 'rich', 'typer', 'yaml'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
