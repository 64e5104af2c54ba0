"""Image layers, really built: by two at once after one was killed, taken to another cache, shared by a class.

Each build here starts from nothing, in a cache of the test's own: about a minute and 100 MB each.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from labctl.host.image_unpacking import NEWEST
from tests.e2e.conftest import Labctl

pytestmark = pytest.mark.e2e
SCRATCH = Path("/var/tmp")
BASE, NGINX = "base: Debian", "packages: nginx"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


def with_cache(place: Path, name: str, **environment: str) -> Labctl:
    """A labctl whose cache is `name`, below `place`."""
    labctl = Labctl(place / "state")
    labctl.environment |= {"XDG_CACHE_HOME": str(place / name), **environment}
    return labctl


def scratch_directories() -> set[Path]:
    return {path for path in SCRATCH.glob("labctl-build-*") if path.stat().st_uid == os.getuid()}


@pytest.fixture(scope="module")
def built(place: Path) -> Labctl:
    """A cache in which one build was killed and then two were started at the same moment."""
    labctl = with_cache(place, "cache")
    before = scratch_directories()
    killed = labctl.start("image", "build")
    deadline = time.monotonic() + 60
    while not (scratch_directories() - before) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(3)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert labctl.json("image", "ls") == []
    both = [labctl.start("image", "build", "l2-switch") for _ in range(2)]
    said = [b"".join(process.communicate(timeout=900)) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum(b"waiting: process " in text for text in said) == 1
    assert scratch_directories() <= before
    return labctl


def test_a_killed_build_and_two_at_once_end_in_one_whole_base_image(built: Labctl, place: Path) -> None:
    (base,) = built.json("image", "ls", "--verify")
    assert base["title"].startswith(BASE)
    assert base["usable"]
    assert base["damage"] == []
    assert 200 << 20 < base["size_bytes"] < 400 << 20
    left = {path.name for path in (place / "cache" / "labctl" / "images").iterdir()} - {base["recipe"]}
    assert all(name.endswith(".lock") for name in left)
    assert built.json("plan", "l2-switch")["layers"] == 0
    assert "nothing was missing" in built("image", "build", "l2-switch").stderr.decode()


@pytest.fixture(scope="module")
def with_packages(built: Labctl, place: Path) -> Labctl:
    """The same cache, with the layer of a lab that needs nginx; the lab is in `place`/web."""
    (place / "web").mkdir()
    (place / "web" / "lab.yaml").write_text("name: web\ntitle: {en: Web}\nnodes: {w: {role: host, packages: [nginx-light]}}\n")
    built("image", "build", str(place / "web"))
    return built


def test_a_layer_of_packages_holds_only_what_it_adds(with_packages: Labctl) -> None:
    rows = with_packages.json("image", "ls", "--verify")
    base, packages = rows
    assert packages["title"] == "packages: nginx-light"
    assert packages["parent"] == base["recipe"]
    assert packages["size_bytes"] < 30 << 20
    assert [row["damage"] for row in rows] == [[], []]


def test_packages_of_another_architecture_are_unpacked_with_what_they_need(with_packages: Labctl, place: Path) -> None:
    (place / "arm").mkdir()
    lab = "name: arm\ntitle: {en: ARM}\nnodes: {a: {role: host, unpack: {/srv/arm64: {architecture: arm64, packages: [bsdutils]}}}}\n"
    (place / "arm" / "lab.yaml").write_text(lab)
    with_packages("image", "build", str(place / "arm"))
    (row,) = [row for row in with_packages.json("image", "ls", "--verify") if row["title"] == "unpacked in /srv/arm64: bsdutils (arm64)"]
    assert row["damage"] == []
    disk, raw = place / "cache" / "labctl" / "images" / row["recipe"] / "disk.qcow2", place / "arm.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(disk), str(raw)], check=True)
    subprocess.run(["debugfs", "-R", "rdump /srv/arm64 .", str(raw)], check=True, cwd=place, capture_output=True)
    made = subprocess.run(["debugfs", "-R", "stat /srv/arm64/bin", str(raw)], check=True, cwd=place, capture_output=True, text=True).stdout
    assert re.findall(r"\bmtime: 0x([0-9a-f]+)", made) == [f"{NEWEST:x}"], "not of the day of the build: a second one gives the same"
    raw.unlink()
    library = place / "arm64" / "usr" / "lib" / "aarch64-linux-gnu" / "libc.so.6"  # of what bsdutils depends on
    for file in (place / "arm64" / "usr" / "bin" / "logger", library):
        assert file.read_bytes()[18:20] == b"\xb7\x00"  # e_machine of elf(5): EM_AARCH64
    with_packages("image", "rm", row["recipe"][:12])


def test_layers_arrive_in_another_cache_as_they_were(with_packages: Labctl, place: Path) -> None:
    archive, web = place / "class.tar.zst", str(place / "web")
    with_packages("image", "export", str(archive), web)
    assert archive.stat().st_size < 200 << 20
    other = with_cache(place, "other")
    other("image", "import", str(archive))
    here, there = (labctl.json("image", "ls", "--verify") for labctl in (with_packages, other))
    assert [(row["recipe"], row["content"], row["damage"]) for row in there] == [(row["recipe"], row["content"], []) for row in here]
    assert other.json("plan", web)["layers"] == 0
    shutil.rmtree(place / "other")


def test_a_node_runs_on_layers_of_a_shared_directory_that_was_moved(with_packages: Labctl, place: Path) -> None:
    shared = place / "class room"
    (place / "cache" / "labctl" / "images").rename(shared)
    shared.chmod(0o555)
    student = with_cache(place, "student", LABCTL_IMAGES=str(shared))
    try:
        assert student.json("plan", str(place / "web"))["layers"] == 0
        student("up", str(place / "web"))
        assert student.text("exec", "w", "--", "nginx", "-t", "-q") == ""
        assert student.text("exec", "w", "--", "dpkg", "--audit") == ""
        row = next(row for row in student.json("image", "ls") if row["parent"])
        assert (row["shared"], row["used_by"]) == (True, ["web"])
        refused = student("image", "rm", row["recipe"][:12], status=2)
        assert "not labctl's to remove" in refused.stderr.decode()
    finally:
        student("down", "web", status=None)
        shared.chmod(0o755)
