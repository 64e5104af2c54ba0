"""The wheel, built from the tree and installed elsewhere: it lists and validates the shipped labs, so the data has travelled.

The clean environment is a new one whose dependencies are looked up in this test's own (no download); labctl itself must come from
the wheel, which is asserted. Nothing is taken from the checkout once the wheel is built.
"""

import importlib.util
import json
import os
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")


def run(*argv: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "XDG_", "LABCTL_"))}
    done = subprocess.run(argv, cwd=cwd, env={**environment, "HOME": str(cwd)}, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{argv} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    here = ("--no-build-isolation",) if importlib.util.find_spec("hatchling") else ()
    subprocess.run((*PIP, "wheel", "--no-deps", *here, "--wheel-dir", place, ROOT), check=True, timeout=300)
    return next(place.glob("labctl_kvm-*.whl"))


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of an environment that has the wheel. `--no-index`: a dependency that is not met is an error."""
    place = tmp_path_factory.mktemp("elsewhere")
    python = place / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", place, cwd=place)
    own = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=place).strip())
    (own / "zz-dependencies.pth").write_text("\n".join(site.getsitepackages()))
    subprocess.run((*PIP, "--python", python, "install", "--no-index", "--force-reinstall", "--no-deps", wheel), check=True, timeout=300)
    subprocess.run((*PIP, "--python", python, "install", "--no-index", wheel), check=True, timeout=300)
    return place / "bin"


def files_below(*directories: str) -> set[str]:
    found = (path for directory in directories for path in (ROOT / directory).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in found if "__pycache__" not in path.parts}


def test_every_file_of_labs_and_templates_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name.removeprefix("labctl/_data/") for name in archive.namelist() if name.startswith("labctl/_data/")}
    assert packed - {"packaging/system-packages.txt", "packaging/apparmor-profile"} == files_below("labs", "templates")


def test_the_wheel_holds_no_tests_and_no_caches(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"labctl", "labctl_kvm"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_labctl_elsewhere_is_the_wheels_and_so_is_its_data(elsewhere: Path) -> None:
    program = "import labctl, labctl.lab.data as data; print(labctl.__file__); print(data.LABS)"
    package, labs = run(elsewhere / "python", "-c", program, cwd=elsewhere).splitlines()
    assert Path(package).is_relative_to(elsewhere.parent)
    assert Path(labs).is_relative_to(elsewhere.parent)


def test_an_installed_wheel_lists_the_shipped_labs(elsewhere: Path) -> None:
    listed = run(elsewhere / "labctl", "list", "--json", cwd=elsewhere)
    json.loads(listed)
    for lab in (ROOT / "labs").glob("*/lab.yaml"):
        assert f'"{lab.parent.name}"' in listed


def test_an_installed_wheel_validates_a_shipped_lab_by_its_name(elsewhere: Path) -> None:
    run(elsewhere / "labctl", "validate", "l2-switch", cwd=elsewhere)


def test_an_installed_wheel_examines_the_machine(elsewhere: Path) -> None:
    """The list of system packages travels too."""
    findings = json.loads(run(elsewhere / "labctl", "doctor", "--json", cwd=elsewhere))["findings"]
    assert next(finding["state"] for finding in findings if finding["id"] == "programs") == "ok"
