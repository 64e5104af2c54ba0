"""The machine's probes on files as kernels, containers and distributions write them."""

import os
from pathlib import Path

from labctl.host.finding import State
from labctl.host.machine import (
    available_memory_mib,
    memory_limit_mib,
    mode_of,
    probe_disk,
    probe_filesystem,
    probe_kvm,
    probe_memory,
    probe_processor,
    probe_sockets,
    probe_surroundings,
    probe_tun,
)


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_hardware_virtualisation_shows_in_the_processors_flags(tmp_path: Path) -> None:
    cpuinfo = write(tmp_path / "cpuinfo", "processor\t: 0\nflags\t\t: fpu vme svm sse2\n\nprocessor\t: 1\nflags\t\t: fpu vme svm sse2\n")
    found = probe_processor(cpuinfo, "x86_64")
    assert found.state is State.OK
    assert "svm" in found.what


def test_a_processor_without_it_is_a_warning_and_another_architecture_a_failure(tmp_path: Path) -> None:
    cpuinfo = write(tmp_path / "cpuinfo", "flags\t\t: fpu vme sse2 svm_lock\n")
    assert probe_processor(cpuinfo, "x86_64").state is State.WARN
    assert probe_processor(cpuinfo, "aarch64").state is State.FAIL


def test_a_device_that_is_missing_tells_the_container_flag_and_the_module(tmp_path: Path) -> None:
    kvm = probe_kvm("student", ("student",), tmp_path / "kvm")
    tun = probe_tun(tmp_path / "net" / "tun")
    assert (kvm.state, tun.state) == (State.WARN, State.FAIL)
    assert f"--device {tmp_path}/kvm" in kvm.hint
    assert "modprobe kvm" in kvm.hint
    assert kvm.fix == ()
    assert [argv[0] for argv in tun.fix] == ["mkdir", "mknod", "chmod"]


def test_a_closed_kvm_device_is_mended_by_group_and_mode_as_the_distribution_has_them(tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    device.mkdir()  # opens for nobody, not even for root
    found = probe_kvm("student", ("student",), device)
    assert found.state is State.WARN
    assert mode_of(device) in found.what
    fix = [argv for argv in found.fix if argv[0] != "groupadd"]
    assert fix == [("chown", "root:kvm", str(device)), ("chmod", "0660", str(device)), ("usermod", "-aG", "kvm", "student")]


def test_a_member_of_group_kvm_is_not_added_again(tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    device.mkdir()
    assert "usermod" not in [argv[0] for argv in probe_kvm("student", ("student", "kvm"), device).fix]


def test_a_closed_tun_device_is_a_failure_with_its_mode(tmp_path: Path) -> None:
    device = tmp_path / "tun"
    device.mkdir()
    found = probe_tun(device)
    assert found.state is State.FAIL
    assert found.fix == (("chmod", "0666", str(device)),)


def test_a_device_that_opens_is_fine_whatever_its_mode(tmp_path: Path) -> None:
    device = write(tmp_path / "tun", "")
    assert probe_tun(device).state is State.OK
    assert probe_kvm("student", (), device).state is State.OK


def test_memory_is_judged_by_what_labs_take() -> None:
    assert probe_memory(8192).what == "8192 MiB of memory are free"
    assert [probe_memory(free).state for free in (8192, 1500, 500)] == [State.OK, State.WARN, State.FAIL]


def test_memory_counts_what_is_available_and_a_control_groups_limit(tmp_path: Path) -> None:
    meminfo = write(tmp_path / "meminfo", "MemTotal:       16384000 kB\nMemFree:          200000 kB\nMemAvailable:    8388608 kB\n")
    assert available_memory_mib(meminfo, tmp_path / "none", tmp_path) == 8192
    cgroup = write(tmp_path / "cgroup", "0::/job\n")
    limit(tmp_path / "fs" / "job", 2048, used_mib=548)
    assert available_memory_mib(meminfo, cgroup, tmp_path / "fs") == 1500
    limit(tmp_path / "fs" / "job", 16384, used_mib=548)
    assert available_memory_mib(meminfo, cgroup, tmp_path / "fs") == 8192


def limit(group: Path, most_mib: int, *, used_mib: int, cached_mib: int = 0) -> None:
    write(group / "memory.max", f"{most_mib << 20}\n")
    write(group / "memory.current", f"{used_mib << 20}\n")
    write(group / "memory.stat", f"anon 7\ninactive_file {cached_mib << 19}\nactive_file {cached_mib << 19}\nslab 7\n")


def test_the_tightest_control_group_on_the_way_up_counts(tmp_path: Path) -> None:
    cgroup = write(tmp_path / "cgroup", "0::/user.slice/job\n")
    write(tmp_path / "fs" / "memory.max", "max\n")
    limit(tmp_path / "fs" / "user.slice", 4096, used_mib=1024)
    limit(tmp_path / "fs" / "user.slice" / "job", 8192, used_mib=1024)
    assert memory_limit_mib(cgroup, tmp_path / "fs") == 3072


def test_files_that_a_control_group_has_read_take_none_of_its_memory(tmp_path: Path) -> None:
    cgroup = write(tmp_path / "cgroup", "0::/\n")
    limit(tmp_path / "fs", 4096, used_mib=4000, cached_mib=3500)
    assert memory_limit_mib(cgroup, tmp_path / "fs") == 3596


def test_no_control_group_means_no_limit(tmp_path: Path) -> None:
    assert memory_limit_mib(tmp_path / "none", tmp_path) is None
    assert memory_limit_mib(write(tmp_path / "v1", "5:memory:/job\n"), tmp_path) is None


def test_disk_room_is_asked_where_the_directory_will_lie(tmp_path: Path) -> None:
    found = probe_disk("disk-state", tmp_path / "not" / "yet" / "there", "instances")
    assert found.id == "disk-state"
    assert f"{tmp_path}/not/yet/there" in found.what
    assert not (tmp_path / "not").exists()


def test_sockets_work_below_a_path_longer_than_a_socket_address(tmp_path: Path) -> None:
    deep = tmp_path / ("a path with spaces " * 6)
    deep.mkdir()
    found = probe_sockets(deep)
    assert found.state is State.OK
    assert list(deep.iterdir()) == []


def test_a_container_is_recognised_by_what_its_engine_leaves(tmp_path: Path) -> None:
    write(tmp_path / "docker" / ".dockerenv", "")
    write(tmp_path / "podman" / "run" / ".containerenv", "")
    write(tmp_path / "old" / "proc" / "1" / "cgroup", "4:memory:/kubepods/besteffort/pod1\n")
    names = [probe_surroundings({}, tmp_path / engine).what for engine in ("docker", "podman", "old")]
    assert names == ["this is a container (Docker)", "this is a container (Podman)", "this is a container (a container engine)"]
    assert "this is a container (lxc)" in probe_surroundings({"container": "lxc"}, tmp_path).what


def test_a_container_is_told_every_flag_it_may_need(tmp_path: Path) -> None:
    write(tmp_path / ".dockerenv", "")
    hint = probe_surroundings({"GITLAB_CI": "true", "CI": "true"}, tmp_path).hint
    for flag in ("--device /dev/kvm", "--device /dev/net/tun", "seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"):
        assert flag in hint


def test_a_hosted_runner_is_named_and_an_ordinary_machine_is_neither(tmp_path: Path) -> None:
    assert "GitHub Actions" in probe_surroundings({"GITHUB_ACTIONS": "true", "CI": "true"}, tmp_path).what
    assert "neither" in probe_surroundings({}, tmp_path).what


def test_modes_are_shown_as_the_distribution_writes_them(tmp_path: Path) -> None:
    file = write(tmp_path / "f", "")
    file.chmod(0o640)
    assert mode_of(file).endswith(" 0640")
    assert mode_of(file).startswith("root:" if os.geteuid() == 0 else f"{os.geteuid()}:")


def test_a_file_system_over_a_network_is_a_warning_before_the_first_instance(tmp_path: Path) -> None:
    found = probe_filesystem("filesystem-state", tmp_path / "not" / "yet", "instances")
    assert found.state is State.OK
