"""One figure for all that decides a running lab: nodes, their roles' files, their own files, links, `ready`, the variant.

What does not decide it (titles, comments, checks) does not count, so a lab whose guide or checks were edited is still the same lab.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from labctl.lab.roles import Role
from labctl.lab.topology import Lab


def digest_of(lab: Lab) -> str:
    """sha256, 64 hexadecimal digits."""
    roles = {node.role.name: _of_role(node.role) for node in lab.nodes}
    deciding = {"name": lab.name, "variant": lab.variant, "nodes": lab.nodes, "links": lab.links, "ready": lab.ready, "roles": roles}
    text = json.dumps(deciding, default=_plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def with_digest(lab: Lab) -> Lab:
    return replace(lab, digest=digest_of(lab))


def _of_role(role: Role) -> str:
    text = json.dumps([role.file.model_dump(mode="json"), dict(role.texts)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Role):
        return value.name
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Mapping):
        return dict(value)
    assert not isinstance(value, Path)  # where a lab lies does not decide it
    return str(value)
