"""What is made is whole under its name or not there; what a killed maker left is found by its note, and nothing else is."""

import subprocess
import sys
from pathlib import Path

from labctl.host.making import dead_makings, is_whole, live_makings, making, remove_whole, sweep_making

MAKE = """
import sys, time
from pathlib import Path
from labctl.host.making import making
with making(Path(sys.argv[1]), "a thing") as place:
    (place / "half").write_text("half")
    print("half", flush=True)
    time.sleep(60)
"""


def test_what_is_renamed_stays_and_what_is_not_goes(tmp_path: Path) -> None:
    with making(tmp_path / "half-a", "a thing") as place:
        (place / "file").touch()
        place.rename(tmp_path / "a")
    with making(tmp_path / "half-b", "a thing") as place:
        (place / "file").touch()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_what_a_killed_maker_left_is_found_by_its_note_and_look_alikes_are_not(tmp_path: Path) -> None:
    for alike in ("half-mine", ".building-mine", "gone-mine"):
        (tmp_path / alike).mkdir()
        (tmp_path / f".{alike}.making").write_text("a file of somebody's")
    maker = subprocess.Popen((sys.executable, "-c", MAKE, str(tmp_path / "half-x")), stdout=subprocess.PIPE)
    assert maker.stdout is not None
    assert maker.stdout.readline() == b"half\n"
    assert live_makings(tmp_path) == (tmp_path / "half-x",)
    assert dead_makings(tmp_path) == ()
    maker.kill()
    maker.wait()
    maker.stdout.close()
    (dead,) = dead_makings(tmp_path)
    assert dead.place == tmp_path / "half-x"
    assert not is_whole(dead.place)
    assert sweep_making(dead)
    assert not dead.place.exists()
    assert not dead.note.exists()
    assert sum(1 for _ in tmp_path.iterdir()) == 6


def test_a_removal_leaves_no_half_under_the_name(tmp_path: Path) -> None:
    place = tmp_path / "whole"
    place.mkdir()
    (place / "file").touch()
    seen: list[bool] = []

    def remove(path: Path) -> None:
        if path.exists():
            seen.append(place.exists())
            (path / "file").unlink(missing_ok=True)
            path.rmdir()

    remove_whole(place, remove=remove)
    assert seen == [False]
    assert list(tmp_path.iterdir()) == []
