"""A layer of packages, also of another CPU architecture: fetched and unpacked below a directory, with all they depend on.

None of their programs or scripts is run: those of another architecture could not be. mmdebstrap (variant `extract`) resolves, checks and
unpacks. The same packages give the same tree, dates included: an image for containers that is made of it is reproducible.
"""

from pathlib import Path

from labctl.host.image_base import MERGED_USR, dpkg_option
from labctl.host.image_overlay import make_overlay
from labctl.host.image_recipe import UnpackRecipe
from labctl.host.image_sources import SUITE, apt_options, host_source_lines, keyring
from labctl.host.image_tools import Tell, lines_of, mmdebstrap
from labctl.host.image_writing import write_tree
from labctl.host.run import run

FETCH_S = 1800.0
NEWEST = 1767225600  # 2026-01-01


def build_unpacked(parent_disk: Path, recipe: UnpackRecipe, templates: Path, build: Path, tell: Tell) -> None:
    """Make disk.qcow2 in `build`, on top of `parent_disk`, which it names relatively, as `build_packages` does."""
    raw, below, tree = build / "disk.raw", build / "parent.raw", build / "root.tar"
    tell(f"fetching and unpacking {' '.join(recipe.packages)} for {recipe.architecture}, and what they need")
    mmdebstrap(_arguments(recipe, templates, tree), build, FETCH_S, no_newer_than=NEWEST)
    tell("keeping what was unpacked")
    for copy in (raw, below):
        run(["qemu-img", "convert", "-O", "raw", str(parent_disk), str(copy)], timeout_s=300)
    write_tree(build, raw, tree, {}, below=recipe.directory)
    make_overlay(below, raw, parent_disk, build / "disk.qcow2")
    for name in (raw, below, tree):
        name.unlink()


def _arguments(recipe: UnpackRecipe, templates: Path, tree: Path) -> list[str]:
    left_out = [f"--dpkgopt={dpkg_option(line)}" for line in lines_of(templates / "left-out.txt")]
    return [
        "--variant=extract", "--skip=output/dev", f"--architectures={recipe.architecture}", f"--keyring={keyring()}",
        f"--include={','.join(recipe.packages)}",
        *([f"--hook-dir={MERGED_USR}"] if MERGED_USR.is_dir() else []), *left_out, *(f"--aptopt={option}" for option in apt_options()),
        SUITE, str(tree), *host_source_lines(),
    ]  # fmt: skip
