"""The accelerator's proof: what a console proves, what is remembered, and that nothing but a boot counts."""

import json
from pathlib import Path

import pytest

from labctl.host.accelerator import cached_accelerator, judge_boot, prove_accelerator, why_closed

FIRST_LINE = b"[    0.000000] Linux version 6.1.0-56-cloud-amd64 (gcc-12 (Debian 12.2.0-14))\r\n"
ECHO = b'[    0.000000] Command line: console=ttyS0 panic=-1 rdinit=/bin/busybox -- sh -c "echo labctl-$((6*7))-userland"\r\n'


def test_userland_that_computes_proves_kvm() -> None:
    found = judge_boot(FIRST_LINE + ECHO + b"[    0.9] Run /bin/busybox as init process\r\nlabctl-42-userland\r\n", 1.04)
    assert (found.kind, found.time_scale) == ("kvm", 1.0)
    assert "1.0 s" in found.why


def test_the_kernels_echo_of_its_command_line_proves_nothing() -> None:
    found = judge_boot(FIRST_LINE + ECHO, 8.0)
    assert found.kind == "tcg"
    assert "does not reach userland" in found.why


@pytest.mark.parametrize(
    ("console", "named"),
    [
        (b"qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69\n", "failed to set MSR 0x10a"),
        (b"qemu-system-x86_64: warning: host doesn't support requested feature\nKVM internal error. Suberror: 1\n", "KVM internal error"),
        (b"Could not access KVM kernel module: No such file or directory\n", "No such file or directory"),
        (b"", "says nothing within 8 s"),
    ],
)
def test_a_kvm_that_runs_nothing_is_named_by_what_qemu_says(console: bytes, named: str) -> None:
    found = judge_boot(console, 8.0)
    assert found.kind == "tcg"
    assert found.time_scale > 1
    assert named in found.why


def test_a_device_that_is_missing_means_emulation_at_once_and_is_not_remembered(tmp_path: Path) -> None:
    kernel, initrd, cache = tmp_path / "kernel", tmp_path / "initrd", tmp_path / "cache"
    found = prove_accelerator(kernel, initrd, cache=cache, device=tmp_path / "kvm")
    assert found.kind == "tcg"
    assert "does not exist" in found.why
    assert not cache.exists()


def test_a_device_that_cannot_be_opened_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "kvm").mkdir()
    assert "cannot be opened" in why_closed(tmp_path / "kvm")


def test_a_device_that_opens_is_no_proof_and_the_trials_answer_holds_for_this_kernel_only(tmp_path: Path) -> None:
    """A real trial, with a file that is no kernel: QEMU refuses it on every machine."""
    kernel, initrd, device = tmp_path / "kernel", tmp_path / "initrd", tmp_path / "device"
    for file in (kernel, initrd, device):
        file.write_bytes(b"not a kernel")
    assert cached_accelerator(kernel, initrd, cache=tmp_path, device=device) is None
    found = prove_accelerator(kernel, initrd, cache=tmp_path, device=device)
    assert found.kind == "tcg"
    assert cached_accelerator(kernel, initrd, cache=tmp_path, device=device) == found
    kernel.write_bytes(b"another kernel")
    assert cached_accelerator(kernel, initrd, cache=tmp_path, device=device) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": null}', json.dumps({"key": {}, "answer": {"kind": "kvm"}})])
def test_a_damaged_memory_is_no_answer(tmp_path: Path, text: str) -> None:
    for name in ("kernel", "initrd", "device"):
        (tmp_path / name).touch()
    (tmp_path / "accelerator.json").write_text(text)
    assert cached_accelerator(tmp_path / "kernel", tmp_path / "initrd", cache=tmp_path, device=tmp_path / "device") is None
