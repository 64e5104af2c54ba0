"""Every shipped lab still teaches its lesson after all of its nodes were switched off and on."""

import pytest

from tests.e2e.conftest import Labctl
from tests.e2e.test_labs import SHIPPED, verified

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("lab", SHIPPED)
def test_a_lesson_holds_after_a_reboot_of_every_node(lab: str, labctl: Labctl) -> None:
    labctl("up", lab)
    labctl("halt", lab)
    labctl("start", lab)
    verified(labctl, lab)
