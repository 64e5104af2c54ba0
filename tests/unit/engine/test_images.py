"""Which layers a node stands on. What making them does is tested with real images, end to end."""

import dataclasses
import time
from pathlib import Path

import pytest

from labctl.engine.images import build_layers, recipes_of
from labctl.errors import StepError
from labctl.host.image_recipe import MachineRecipe, NodeRecipe, PackageRecipe, UnpackRecipe
from labctl.host.image_tools import run_long
from labctl.host.images import LayerFiles
from labctl.lab.load import find_lab, load_lab
from labctl.lab.topology import Node, NodeFile, UnpackedTree

BASE, BASE_PACKAGES = "b" * 64, frozenset({"bash", "curl"})


def node(role_packages: tuple[str, ...] = (), **more: object) -> Node:
    """A host of a shipped lab, with other packages, files and commands."""
    host = load_lab(find_lab("l2-switch")).node("pc1")
    role = dataclasses.replace(host.role, file=host.role.file.model_copy(update={"packages": role_packages}))
    return dataclasses.replace(host, role=role, **{"packages": (), "files": (), "run": (), **more})  # type: ignore[arg-type]


def test_a_node_that_needs_nothing_more_stands_on_the_base() -> None:
    assert recipes_of(node(("curl",)), BASE, BASE_PACKAGES) == ()


def test_role_packages_own_packages_and_own_files_lie_on_each_other() -> None:
    recipes = recipes_of(
        node(("nginx", "curl"), packages=("jq", "nginx"), files=(NodeFile("/etc/x", b"x", 0o644),), run=("true",)), BASE, BASE_PACKAGES
    )
    role, own, machine = recipes
    assert role == PackageRecipe(BASE, ("nginx",))
    assert own == PackageRecipe(role.digest, ("jq",))
    assert isinstance(machine, MachineRecipe)
    assert machine.parent == own.digest
    assert (machine.files[0].path, machine.run) == ("/etc/x", ("true",))


def test_a_template_is_in_no_layer_it_is_rendered_for_the_running_node() -> None:
    template = NodeFile("/etc/motd", b"{{ node.name }}", 0o644, template=True)
    assert recipes_of(node(files=(template,)), BASE, BASE_PACKAGES) == ()
    (machine,) = recipes_of(node(files=(template, NodeFile("/etc/x", b"x", 0o644))), BASE, BASE_PACKAGES)
    assert isinstance(machine, MachineRecipe)
    assert [file.path for file in machine.files] == ["/etc/x"]


def test_two_nodes_of_a_role_share_its_layer() -> None:
    assert recipes_of(node(("nginx",)), BASE, BASE_PACKAGES) == recipes_of(node(("nginx", "bash")), BASE, BASE_PACKAGES)


def test_packages_of_another_architecture_lie_between_packages_and_files() -> None:
    tree = UnpackedTree("/srv/arm64", "arm64", ("busybox-static",))
    own, unpacked, machine = recipes_of(node(packages=("jq",), unpack=(tree,), run=("true",)), BASE, BASE_PACKAGES)
    assert unpacked == UnpackRecipe(own.digest, "/srv/arm64", "arm64", ("busybox-static",))
    assert isinstance(machine, MachineRecipe)
    assert machine.parent == unpacked.digest


def test_commands_alone_make_a_layer_on_the_base() -> None:
    (machine,) = recipes_of(node(run=("true",)), BASE, BASE_PACKAGES)
    assert machine == MachineRecipe(BASE, (), ("true",))


@dataclasses.dataclass(frozen=True)
class FailingStore:
    """A store in which a layer with nginx cannot be made, and any other takes a minute."""

    place: Path

    def layers(self) -> tuple[()]:
        return ()

    def find_base(self) -> LayerFiles:
        return LayerFiles(BASE, BASE, (), self.place, self.place, "", 0)

    def base_packages(self) -> frozenset[str]:
        return BASE_PACKAGES

    def find(self, digest: str) -> None:
        return None

    def build(self, recipe: NodeRecipe, *_: object) -> None:
        if isinstance(recipe, PackageRecipe) and "nginx" in recipe.packages:
            raise StepError("nginx cannot be installed")
        run_long(["sleep", "60"], self.place, timeout_s=60)


def test_a_layer_that_fails_stops_the_others_of_its_level_and_no_later_build(tmp_path: Path) -> None:
    lab = dataclasses.replace(load_lab(find_lab("l2-switch")), nodes=(node(("nginx",)), dataclasses.replace(node(("jq",)), name="pc2")))
    began = time.monotonic()
    with pytest.raises(StepError, match="nginx cannot be installed"):
        build_layers(FailingStore(tmp_path), [lab], lambda _: None)  # type: ignore[arg-type]
    assert time.monotonic() - began < 30
    assert run_long(["sleep", "0.8"], tmp_path, timeout_s=30).status == 0


def test_the_cache_key_is_short_stable_and_other_for_saved_machines() -> None:
    from labctl.engine.images import cache_key

    assert cache_key() == cache_key()
    assert len(cache_key()) == 32
    assert cache_key(saved=True) != cache_key()
