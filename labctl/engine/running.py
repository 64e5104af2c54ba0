"""A running lab as checks and sabotages see it: fits `engine/under_test.LabUnderTest`.

Owns nothing but the translation: each verb is one of the engine's own. Settings changed here are on the record, so that `reset` and
`status` know of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from labctl.engine import impairing, links
from labctl.engine.capture import capture, file_in_memory, path_of
from labctl.engine.events import Reporter, silent
from labctl.engine.instances import InstanceRecord, write_record
from labctl.engine.power import power_off, power_on
from labctl.engine.provision import change_node
from labctl.engine.reset import reset
from labctl.engine.session import Session
from labctl.guest.agent import Completed
from labctl.lab.impairments import ImpairmentKeys
from labctl.lab.settings import change_settings, kept_changes
from labctl.lab.topology import End, Lab

if TYPE_CHECKING:
    from labctl.host.images import LayerFiles


class RunningLab:
    """One open session of an instance, with the lab that it is of. `lab` follows `set_settings`."""

    def __init__(self, session: Session, lab: Lab, report: Reporter = silent) -> None:
        self._session = session
        self._report = report
        self._as_written = lab
        self.lab = _with_changes(lab, session.record)
        self._captures: dict[str, IO[bytes]] = {}  # the last ones: judges read them

    @property
    def accelerator(self) -> str:
        return self._session.record.accelerator

    @property
    def resets_quickly(self) -> bool:
        return bool(self._session.record.checkpoint) and (Path(self._session.record.checkpoint) / "whole").exists()

    @property
    def time_scale(self) -> float:
        return self._session.record.time_scale

    def run_on(self, node: str, script: str, *, timeout_s: float) -> Completed:
        """Run a shell script on a node; the deadline is taken as it is."""
        return self._session.agent(node).run(script, timeout_s=timeout_s, limited=True)

    @contextmanager
    def capture(self, ends: Sequence[End]) -> Iterator[Mapping[End, Path]]:
        """Capture on all `ends`; the files are whole once the block is left, and there until the next capture."""
        self._captures = {str(end): file_in_memory(str(end)) for end in ends}
        with capture(self._session.record, self._captures):
            yield {end: path_of(self._captures[str(end)]) for end in ends}

    def set_settings(self, node: str, changes: Mapping[str, Any]) -> None:
        """Change settings of a node's role: checked, rendered, applied on the running node, recorded."""
        changed = change_settings(self.lab, node, changes)
        change_node(self._session, self.lab, changed, node)
        self.lab = changed
        record = self._session.record
        known = kept_changes(record.settings.get(node, {}), changes, changed.node(node))
        self._session.record = replace(record, settings={**record.settings, node: known})
        write_record(self._session.record)

    def cut(self, end: End) -> None:
        links.cut(self._session, str(end))

    def restore(self, end: End) -> None:
        links.restore(self._session, str(end))

    def move(self, end: End, to: End) -> None:
        links.move(self._session, str(end), str(to))

    def impair(self, end: End, changes: ImpairmentKeys, *, one_way: bool) -> None:
        self.lab = impairing.impair(self._session, self.lab, str(end), changes, one_way=one_way)

    def clear(self, end: End) -> None:
        self.lab = impairing.clear(self._session, self._as_written, self.lab, str(end))

    def power(self, node: str, state: Literal["off", "on", "reboot"]) -> None:
        if state in ("off", "reboot"):
            power_off(self._session, node)
        if state in ("on", "reboot"):
            power_on(self._session, self.lab, node, self._layers()[node], self._report)

    def reset(self, nodes: Sequence[str]) -> None:
        """These nodes as they were when the lab was ready; none named: all of them, cables and settings too."""
        reset(self._session, self._as_written, self._layers(), nodes, self._report)
        self.lab = _with_changes(self._as_written, self._session.record)

    def _layers(self) -> "Mapping[str, LayerFiles]":
        from labctl.engine.images import layers_of

        return layers_of(self._session.record)


def _with_changes(lab: Lab, record: InstanceRecord) -> Lab:
    for node, settings in record.settings.items():
        lab = change_settings(lab, node, settings)
    return impairing.with_impairments(lab, record.impairments)
