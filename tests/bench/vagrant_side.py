"""Vagrant's side: the same work with vagrant-libvirt, on a box made from labctl's base image, as well as Vagrant can be run.

Owns the Vagrantfile and the order of commands. Runs as root inside packaging/vagrant-session.sh, which gives it a libvirtd and a network
of its own. Only what Vagrant's and vagrant-libvirt's documentation describes is used.
"""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.machine import first_line
from tests.bench.samples import VAGRANT, Samples

LIMIT_S = 900.0
BOX = "labctl-base"
# Kind to Vagrant: no key is replaced, no folder is shared, no update is looked for, root needs no sudo(8), the network stays;
# kernel and initrd are labctl's, which boot quickest.
VAGRANTFILE = """\
Vagrant.configure("2") do |config|
  config.vm.box = "{box}"
  config.vm.box_check_update = false
  config.vm.boot_timeout = 600
  config.vm.synced_folder ".", "/vagrant", disabled: true
  config.ssh.username = "root"
  config.ssh.private_key_path = "{place}/key"
  config.ssh.insert_key = false
  config.ssh.sudo_command = "%c"
  config.vm.provider :libvirt do |machine|
    machine.driver = "{driver}"
{cpu}    machine.memory = 256
    machine.cpus = 1
    machine.kernel = "{place}/kernel"
    machine.initrd = "{place}/initrd"
    machine.cmd_line = "{cmdline}"
    machine.graphics_type = "none"
    machine.management_network_keep = true
    machine.random model: "random"
  end
  (1..{machines}).each {{ |number| config.vm.define "pc#{{number}}" }}
end
"""
EMULATED_CPU = '    machine.cpu_mode = "custom"\n    machine.cpu_model = "qemu64"\n'  # labctl's too


class VagrantFailed(Exception):
    """Vagrant said no; what it said."""


def render_vagrantfile(box: Path, machines: int, accelerator: str) -> str:
    """A Vagrantfile of so many machines on the box that packaging/vagrant-box.sh made in `box`."""
    kvm = accelerator == "kvm"
    cmdline = (box / "cmdline").read_text().strip()
    driver, cpu = ("kvm", "") if kvm else ("qemu", EMULATED_CPU)
    return VAGRANTFILE.format(box=BOX, place=box, driver=driver, cpu=cpu, cmdline=cmdline, machines=machines)


class VagrantSide:
    """Each part measures figures that belong together. `box` is where the box lies, `place` where labs may be made."""

    def __init__(self, box: Path, place: Path, samples: Samples, *, runs: int) -> None:
        self._box, self._place, self._samples, self._runs = box, place, samples, runs
        self.parts: dict[str, Callable[[], None]] = {"vagrant-1": lambda: self._lab(1), "vagrant-4": lambda: self._lab(4)}

    def describe(self) -> None:
        plugin = first_line("dpkg-query", "-W", "-f=${Version}", "vagrant-libvirt")
        self._samples.describe({"Vagrant": f"{first_line('vagrant', '--version').split()[-1]}, vagrant-libvirt {plugin}"})

    def prepare(self) -> None:
        """The box, and its disk in libvirt's pool, which Vagrant's first `up` ever puts there: not measured."""
        self._place.mkdir(parents=True, exist_ok=True)
        if BOX not in self._run(self._place, "box", "list"):
            self._run(self._place, "box", "add", "--name", BOX, "--provider", "libvirt", str(self._box / "base.box"))
            lab = self._make_lab(1)
            self._run(lab, "up", "--provider", "libvirt", "--no-provision")
            self._run(lab, "destroy", "-f")

    def _make_lab(self, machines: int) -> Path:
        lab = self._place / f"vagrant{machines}"
        lab.mkdir(parents=True, exist_ok=True)
        (lab / "Vagrantfile").write_text(render_vagrantfile(self._box, machines, self._samples.about.get("accelerator", "tcg")))
        return lab

    def _lab(self, machines: int) -> None:
        self.prepare()
        lab = self._make_lab(machines)
        try:
            for _ in range(self._runs):
                self._take(f"up-{machines}", lab, "up", "--provider", "libvirt")
                self._quick_ones(lab, machines)
                self._take(f"destroy-{machines}", lab, "destroy", "-f")
        finally:
            subprocess.run(("vagrant", "destroy", "-f"), cwd=lab, capture_output=True, timeout=LIMIT_S, check=False)

    def _quick_ones(self, lab: Path, machines: int) -> None:
        for _ in range(3):
            self._take(f"up-nothing-{machines}", lab, "up")
            self._take(f"status-{machines}", lab, "status")
            self._take("ssh", lab, "ssh", "-c", "true", "pc1")

    def _take(self, figure: str, lab: Path, *words: str) -> None:
        began = time.monotonic()
        self._run(lab, *words)
        self._samples.add(VAGRANT, figure, time.monotonic() - began)

    def _run(self, lab: Path, *words: str) -> str:
        environment = {**os.environ, "VAGRANT_NO_COLOR": "1", "VAGRANT_CHECKPOINT_DISABLE": "1"}
        done = subprocess.run(
            ("vagrant", *words), cwd=lab, capture_output=True, text=True, env=environment, timeout=LIMIT_S, check=False
        )  # fmt: skip
        if done.returncode != 0:
            raise VagrantFailed(f"vagrant {' '.join(words)}: status {done.returncode}: {done.stderr.strip()[-800:]}")
        return done.stdout
