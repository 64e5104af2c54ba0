"""Ways into a node: which nodes are meant, and a port of one on this machine."""

from pathlib import Path

import pytest

from labctl.engine.access import choose_nodes
from labctl.engine.instances import InstanceRecord, NodeRecord
from labctl.errors import UsageError

NODES = tuple(
    NodeRecord(name, number, "host", 256, 1, "uuid", f"169.254.1.{number}", (), "layer") for number, name in enumerate(("pc1", "pc2"))
)


def lab_in(directory: Path) -> InstanceRecord:
    return InstanceRecord("l2-switch", "l2-switch", "/x/lab.yaml", "default", "d", directory, "/s", 1.0, "tcg", 4.0, nodes=NODES)


def test_each_node_that_is_named_is_meant_once(tmp_path: Path) -> None:
    record = lab_in(tmp_path)
    assert choose_nodes(record, "pc2, pc1,pc2") == ("pc2", "pc1")
    assert choose_nodes(record, "all") == ("pc1", "pc2")


@pytest.mark.parametrize("words", ["", ",", " , "])
def test_a_command_for_no_node_is_refused(words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no node is named"):
        choose_nodes(lab_in(tmp_path), words)
