"""What a node can be made into. A role is a directory of data: `role.yaml`, templates and one script, all for the guest.

    templates/roles/<role>/   shipped          <lab>/roles/<role>/   a lab's own, found first

Owns the Role and its strict file model. Reading the directories is `lab/load.py`'s; rendering is `guest/provisioning.py`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from labctl.lab.model import PackageName
from labctl.lab.values import Words

FileMode = Annotated[str, Field(pattern=r"^0?[0-7]{3,4}$")]


class RoleTemplate(BaseModel):
    """A file of the role: `template` (Jinja2, beside role.yaml) is written to `path` in the node."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: str = Field(pattern=r"^/[^\x00]*$", description="where it goes in the node; absolute")
    template: str = Field(description="Jinja2 file in the role's directory")
    mode: FileMode = Field(default="0644", description="permissions, octal")


class RoleFile(BaseModel):
    """`role.yaml`. `settings` and `port_settings` are JSON Schemas of kind object: one definition for loader, help and reference."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: Words = Field(description="what it is, in a few words")
    kind: Literal["host", "repeater", "hub", "bridge", "switch", "router", "firewall", "server", "container-host", "hypervisor"] = Field(
        description="its symbol in pictures"
    )
    packages: tuple[PackageName, ...] = Field(default=(), description="Debian packages that its image layer adds to the base")
    memory: str = Field(default="256MiB", description="memory of a node that says nothing")
    cpus: int = Field(default=1, ge=1, le=16, description="CPUs of a node that says nothing")
    settings: dict[str, Any] = Field(default_factory=dict, description="JSON Schema properties of a node's settings, with defaults")
    port_settings: dict[str, Any] = Field(
        default_factory=dict, description="JSON Schema properties of a port's settings, written on its link"
    )
    own_interfaces: tuple[str, ...] = Field(default=(), description="names (or patterns like `vlan*`) of interfaces the role makes itself")
    templates: tuple[RoleTemplate, ...] = Field(default=(), description="files rendered for each node")
    apply: str | None = Field(default=None, description="script run in the node after its files are there; may run again at any time")
    ready: str | None = Field(default=None, description="command that ends with status 0 once the role works")
    renew: str | None = Field(default=None, description="script that renews the role's secrets in a copy of a machine")
    reset_together: bool = Field(
        default=False, description="its nodes keep what they told each other: the self-test puts all of a lab's back, never one alone"
    )


@dataclass(frozen=True)
class Role:
    """A role as loaded: `directory` holds its templates, whose text is in `texts` (file name → content), scripts included."""

    name: str
    directory: Path
    file: RoleFile
    texts: Mapping[str, str]
