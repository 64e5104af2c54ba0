"""The uplink: refused unless the person allows it; then a way out that does not lead to the host's own loopback."""

import socket
from pathlib import Path

import pytest

from tests.e2e.conftest import Labctl
from tests.e2e.host_view import processes_of

pytestmark = pytest.mark.e2e
LAB = "name: outside\ntitle: A host with a way out\nnodes:\n  pc1: {role: host, uplink: true}\n"


def test_an_uplink_needs_permission_and_keeps_the_hosts_loopback_closed(labctl: Labctl, tmp_path: Path) -> None:
    place = tmp_path / "outside"
    place.mkdir()
    (place / "lab.yaml").write_text(LAB)
    assert b"--allow-uplink" in labctl("up", str(place), status=2).stderr
    labctl("up", str(place), "--allow-uplink")
    labctl("exec", "pc1", "--", "ping", "-c", "1", "-W", "10", "10.0.2.2")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass  # the witness: from here it is reached
        refused = labctl("exec", "pc1", "--", "nc", "-z", "-w", "5", "10.0.2.2", str(port), status=None)
        assert refused.returncode != 0
    labctl("down", "outside")
    assert processes_of(labctl.state) == []
