"""The running lab as checks, sabotages and the self-test see it: a few verbs, whoever carries them out.

Owns the Protocol and nothing else. `engine/running.py` is the real one, over libvirt, agents and wires; the unit tests have a small
simulation that fits the same door.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, Protocol

from labctl.guest.agent import Completed
from labctl.lab.impairments import ImpairmentKeys
from labctl.lab.topology import End, Lab

PowerState = Literal["off", "on", "reboot"]


class LabUnderTest(Protocol):
    """Verbs raise a `StepError` (agent, hypervisor, capture, time) when they could not be carried out."""

    @property
    def lab(self) -> Lab: ...

    @property
    def accelerator(self) -> str:
        """`kvm` or `tcg`, for the first line of every report."""

    @property
    def time_scale(self) -> float:
        """Deadlines are made for KVM and multiplied by this."""

    @property
    def resets_quickly(self) -> bool:
        """Whether `reset` starts saved machines, a second or two each, instead of booting them."""

    def run_on(self, node: str, script: str, *, timeout_s: float) -> Completed:
        """Run `script` by sh, as root, in the lesson's network; called from several threads at once, one per node."""

    def capture(self, ends: Sequence[End]) -> AbstractContextManager[Mapping[End, Path]]:
        """Capture at these ends while the context is open; the pcap files are complete, and stay, once it is left."""

    def set_settings(self, node: str, changes: Mapping[str, Any]) -> None: ...

    def cut(self, end: End) -> None: ...

    def restore(self, end: End) -> None: ...

    def move(self, end: End, to: End) -> None: ...

    def impair(self, end: End, changes: ImpairmentKeys, *, one_way: bool) -> None:
        """Change what the link at `end` does to frames; what is not named stays."""

    def clear(self, end: End) -> None:
        """Make the link at `end` as the lab file says."""

    def power(self, node: str, state: PowerState) -> None: ...

    def reset(self, nodes: Sequence[str]) -> None:
        """Put these nodes back as they were when the lab was ready; none named: the whole lab, its links too."""
