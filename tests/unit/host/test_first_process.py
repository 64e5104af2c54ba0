"""Logs of a guest that prints without end stay short, while it prints."""

import os
from pathlib import Path

from labctl.host import first_process
from labctl.host.first_process import KEPT_OF_LOG, LONGEST_LOG, shorten_logs


def test_a_log_that_is_too_long_keeps_its_end_and_its_writer_goes_on_behind_it(tmp_path: Path) -> None:
    log = tmp_path / "serial-pc1.log"
    with log.open("ab", buffering=0) as guest:
        for _ in range(LONGEST_LOG // (1 << 20) + 1):
            guest.write(b"y\n" * (1 << 19))
        guest.write(b"the last line\n")
        shorten_logs(tmp_path)
        guest.write(b"and one more\n")
    text = log.read_bytes()
    assert len(text) < KEPT_OF_LOG + 200
    assert text.startswith(b"[labctl: ")
    assert text.endswith(b"the last line\nand one more\n")


def test_a_log_of_usual_length_and_what_is_no_file_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"x" * 1000)
    os.mkfifo(tmp_path / "pipe")
    large = tmp_path / "elsewhere"
    with large.open("wb") as file:
        file.truncate(LONGEST_LOG + 1)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "link").symlink_to(large)
    shorten_logs(tmp_path / "logs")
    shorten_logs(tmp_path / "not there")
    assert large.stat().st_size == LONGEST_LOG + 1
    assert (tmp_path / "a.log").read_bytes() == b"x" * 1000


def test_it_needs_nothing_but_the_standard_library() -> None:
    assert "labctl" not in (
        line.split()[1].split(".")[0]
        for line in Path(first_process.__file__).read_text().splitlines()
        if line.startswith(("import", "from"))
    )
