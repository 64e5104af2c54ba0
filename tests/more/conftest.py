"""What tests of `make test-all` share with those of `make test`: the same command, the same ordinary user."""

from tests.e2e.conftest import _ctrl_c_works, _never_as_root, labctl, shared_labctl

__all__ = ("_ctrl_c_works", "_never_as_root", "labctl", "shared_labctl")
