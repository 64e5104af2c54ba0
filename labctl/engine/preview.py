"""`plan`: what an `up` would do now, with the room that it takes and about how long, without doing any of it.

Owns the estimate's figures: rounded up from single runs under emulation on 2 cores, so with KVM they are an upper bound, and it says so.
"""

import os
from dataclasses import dataclass

from labctl.engine.checkpoints import checkpoint_digest, checkpoint_store
from labctl.engine.images import missing_layers, planned_layers
from labctl.engine.instances import read_record
from labctl.engine.room import free_room
from labctl.engine.start import Way
from labctl.engine.up import observe_facts
from labctl.engine.warm import machine_keys, warm_store
from labctl.host.accelerator import cached_accelerator
from labctl.host.places import cache_directory, instances_directory
from labctl.lab.plan import MakeNode, Plan, Room, estimate_s, plan_up, room_for
from labctl.lab.topology import Lab

SECONDS_A_NODE = {Way.CHECKPOINT: 0.8, Way.CLONE: 5.0, Way.COLD: 16.0}
SECONDS_A_WARM_IMAGE = 14.0
SECONDS_A_LAYER = 75.0


@dataclass(frozen=True)
class Preview:
    """What `up` would do. `way`: how new nodes would start; `layers`: images that must be built first."""

    plan: Plan
    way: Way
    layers: int
    needs: Room
    free: Room
    seconds: float
    accelerator: str  # kvm, tcg, or "not proven yet"
    upper_bound: bool


def preview(lab: Lab, instance: str | None = None) -> Preview:
    """Look, and say; nothing is started, built or written."""
    digests = planned_layers(lab)
    missing = missing_layers(lab)
    directory = instances_directory() / (instance or lab.name)
    known = read_record(directory) if (directory / "instance.json").exists() else None
    plan = plan_up(lab, observe_facts(known), digests)
    new = len(plan.of(MakeNode))
    found = _accelerator(lab) if not missing else None
    way, warm = _way(lab, found or "tcg") if not missing else (Way.CLONE, 1)
    seconds = estimate_s(new, seconds_a_node=SECONDS_A_NODE[way], at_once=os.cpu_count() or 1)
    seconds += SECONDS_A_LAYER * len(missing) + (SECONDS_A_WARM_IMAGE * warm if new else 0)
    return Preview(plan, way, len(missing), room_for(lab), free_room(), seconds, found or "not proven yet", found != "tcg")


def _accelerator(lab: Lab) -> str | None:
    from labctl.engine.images import layers_at_hand

    layer = next(iter(layers_at_hand(lab).values()))
    answer = cached_accelerator(layer.kernel, layer.initrd, cache=cache_directory())
    return answer.kind if answer else None


def _way(lab: Lab, accelerator: str) -> tuple[Way, int]:
    """How new nodes would start, and how many warm images would have to be made for it."""
    from labctl.engine.images import layers_at_hand

    layers = layers_at_hand(lab)
    if checkpoint_store().find(checkpoint_digest(lab, layers, accelerator)):
        return Way.CHECKPOINT, 0
    keys = set(machine_keys(lab, layers, accelerator).values())
    return Way.CLONE, sum(warm_store().find(key) is None for key in keys)
