"""Which kernel an image boots, where packages brought several."""

import pytest

from labctl.host.image_base import newest_kernel
from labctl.host.image_packages import parse_kernels

# What dpkg-query said after `apt install linux-image-amd64 xenstore-utils` on an image with an older linux-image-cloud-amd64.
BROUGHT = """\
linux-image-amd64, linux-image-6.1.0-57-amd64 (= 6.1.192-3)
xenstore-utils, libc6 (>= 2.34), libxenstore4 (>= 4.6.0~rc1)
"""
FILES = ("./boot/config-6.1.0-57-amd64", "./boot/vmlinuz-6.1.0-57-amd64", "./boot/vmlinuz-6.1.0-57-cloud-amd64")


def test_the_kernel_that_was_asked_for_is_taken_and_not_another_flavour_that_apt_upgraded_along() -> None:
    assert parse_kernels(BROUGHT) == {"6.1.0-57-amd64"}
    assert newest_kernel(FILES, parse_kernels(BROUGHT)) == "6.1.0-57-amd64"


def test_packages_that_name_no_kernel_leave_the_one_that_there_was() -> None:
    assert parse_kernels("nginx-light, libc6 (>= 2.34)\ndpkg-query: no packages found matching linux-headers\n") == frozenset()


@pytest.mark.parametrize("text", ["linux-image-6.1.0-57-rt-amd64, kmod\n", "meta:amd64, linux-image-6.1.0-57-rt-amd64:amd64 (= 1)|x\n"])
def test_a_kernel_is_found_by_its_own_name_or_as_a_dependency(text: str) -> None:
    assert parse_kernels(text) == {"6.1.0-57-rt-amd64"}


def test_releases_are_compared_by_number() -> None:
    files = ("./boot/vmlinuz-6.1.0-9-cloud-amd64", "./boot/vmlinuz-6.1.0-10-cloud-amd64")
    assert newest_kernel(files, ()) == "6.1.0-10-cloud-amd64"
    assert newest_kernel((), ()) == ""
    assert newest_kernel(files, {"6.9"}) == ""
