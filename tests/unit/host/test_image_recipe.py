"""Recipes: the digest is the same for what is the same, and another one for what is not."""

from dataclasses import replace
from typing import Any

import pytest

from labctl.errors import StepError
from labctl.host.image_recipe import BaseRecipe, LayerFile, MachineRecipe, PackageRecipe, UnpackRecipe, parent_of, title_of

BASE = BaseRecipe("bookworm", ("bash", "iproute2"), "0" * 64, "2025-01-31T12:00:00Z")
OWN = MachineRecipe(BASE.digest, (LayerFile("/etc/motd", b"hello", 0o644), LayerFile("/etc/a", b"", 0o600)), ("touch /x", "touch /y"))


def test_a_recipes_digest_stays_what_it_was() -> None:
    assert BASE.digest == "9e505dbddd8fffb86f8ed8d57ab463bedd51a0c28dcfecf8fc1ec68b37fac235"


def test_the_order_and_repetition_of_packages_do_not_matter() -> None:
    assert PackageRecipe(BASE.digest, ("b", "a", "b")).digest == PackageRecipe(BASE.digest, ("a", "b")).digest


def test_the_order_of_files_does_not_matter_that_of_commands_does() -> None:
    assert replace(OWN, files=OWN.files[::-1]).digest == OWN.digest
    assert replace(OWN, run=OWN.run[::-1]).digest != OWN.digest


@pytest.mark.parametrize(
    "changed",
    [
        replace(BASE, suite="trixie"),
        replace(BASE, packages=("bash",)),
        replace(BASE, content="1" * 64),
        replace(BASE, made="2025-02-01T12:00:00Z"),
    ],
)
def test_whatever_changes_in_a_base_changes_its_digest_and_that_of_all_layers_above(changed: BaseRecipe) -> None:
    assert changed.digest != BASE.digest
    assert PackageRecipe(changed.digest, ("nginx",)).digest != PackageRecipe(BASE.digest, ("nginx",)).digest


@pytest.mark.parametrize(
    "file", [LayerFile("/etc/motd", b"hullo", 0o644), LayerFile("/etc/motd", b"hello", 0o600), LayerFile("/etc/issue", b"hello", 0o644)]
)
def test_a_file_counts_with_path_content_and_mode(file: LayerFile) -> None:
    assert replace(OWN, files=(file, OWN.files[1])).digest != OWN.digest


def test_a_base_of_another_day_has_the_same_undated_digest() -> None:
    assert replace(BASE, made="2025-02-01T12:00:00Z").undated_digest == BASE.undated_digest != BASE.digest


def test_a_recipes_data_tells_its_parent_and_title() -> None:
    assert parent_of(BASE.as_data()) is None
    assert parent_of(OWN.as_data()) == BASE.digest
    assert title_of(BASE.as_data()) == "base: Debian bookworm, 2025-01-31T12:00:00Z"
    assert title_of(PackageRecipe(BASE.digest, ("b", "a")).as_data()) == "packages: a b"
    assert title_of(OWN.as_data()) == "a node's own: 2 files, 2 commands"


@pytest.mark.parametrize("changed", [{"directory": "/srv/other"}, {"architecture": "armhf"}, {"packages": ("jq",)}, {"parent": "0" * 64}])
def test_an_unpacked_trees_place_architecture_and_packages_count(changed: dict[str, Any]) -> None:
    tree = UnpackRecipe(BASE.digest, "/srv/arm64", "arm64", ("nginx", "busybox"))
    assert replace(tree, **changed).digest != tree.digest == replace(tree, packages=("busybox", "nginx", "nginx")).digest
    assert parent_of(tree.as_data()) == BASE.digest
    assert tree.title == "unpacked in /srv/arm64: busybox nginx (arm64)"


@pytest.mark.parametrize(
    "data", [{}, {"format": 99, "kind": "base"}, {"format": 1, "kind": "elf"}, {"format": 1, "kind": "packages", "parent": "../x"}]
)
def test_data_that_is_no_recipe_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(StepError):
        parent_of(data)
