"""What the hypervisor refuses by itself, before libvirt is asked."""

from pathlib import Path

import pytest

from labctl.errors import StepError
from labctl.host.hypervisor import Hypervisor
from labctl.lab.data import TEMPLATES
from tests.unit.host.test_domain_xml import SPEC


@pytest.mark.parametrize("whole", [False, True])
def test_a_saved_machine_without_its_state_does_not_start_and_the_next_way_down_is_taken(whole: bool, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="cannot start sw1: .*/state is not there any more"):  # what `engine/start` goes on from
        Hypervisor(None, None, TEMPLATES).start_saved(SPEC, tmp_path / "state", whole=whole)
