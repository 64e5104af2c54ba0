"""Whatever the loader gets, it ends in a Lab or in a LoadError whose faults have places; never in anything else."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.errors import Fault, LoadError
from labctl.lab.load import load_lab
from labctl.lab.topology import Lab

GOLDEN = Path(__file__).parent.parent / "golden" / "load_errors"
KNOWN = """name title nodes links addresses ready variants checks role id says do see sabotage set cut restore move power run start wire
frames values node output reach route path via witness pc1 pc1..pc3 pc3..pc1 sw1 host l2-switch hub eth1 pc1:eth1 10.0.0.1/24 ~ null on
true 010 1.10 -1 files content source macs ports gateway routes memory cpus default"""
WORDS = st.sampled_from(KNOWN.split())
SCALARS = st.one_of(WORDS, st.text(max_size=8), st.integers(-5, 5), st.booleans(), st.none(), st.sampled_from(["pc1:eth1 -- sw1:port1"]))
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=4)), max_leaves=12
)
SEEDS = [file.read_bytes() for file in sorted(GOLDEN.glob("*.yaml")) if file.stat().st_size < 3000]


def load(directory: Path, content: bytes) -> None:
    file = directory / "lab.yaml"
    file.write_bytes(content)
    told: tuple[Fault, ...] = ()
    try:
        assert isinstance(load_lab(file), Lab)
    except LoadError as error:
        told = error.faults or (Fault("", -1, 0, "an error without a fault"),)
    assert all(fault.what and fault.line >= 0 for fault in told)
    assert not any(set("\n\0") & set(fault.what + fault.why + fault.hint) for fault in told)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("fuzz")
    (directory / "roles").mkdir()
    for role in ("host", "l2-switch"):
        (directory / "roles" / role).mkdir()
        (directory / "roles" / role / "role.yaml").write_bytes((GOLDEN / "roles" / role / "role.yaml").read_bytes())
    for name in ("interfaces.j2", "apply.sh"):
        (directory / "roles" / "host" / name).write_bytes((GOLDEN / "roles" / "host" / name).read_bytes())
    return directory


QUIET = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@QUIET
@given(content=st.binary(max_size=200))
def test_bytes_of_any_kind_end_in_a_lab_or_a_fault(place: Path, content: bytes) -> None:
    load(place, content)


@QUIET
@given(value=st.dictionaries(WORDS, VALUES, max_size=8))
def test_data_of_any_shape_ends_in_a_lab_or_a_fault(place: Path, value: object) -> None:
    load(place, json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@QUIET
@given(seed=st.sampled_from(SEEDS), data=st.data())
def test_a_lab_with_something_changed_ends_in_a_lab_or_a_fault(place: Path, seed: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(seed)))
    length = data.draw(st.integers(0, 20))
    piece = data.draw(
        st.one_of(WORDS.map(str.encode), st.binary(max_size=6), st.sampled_from([b"\n", b": ", b"- ", b"{", b"}", b"*a", b"&a "]))
    )
    load(place, seed[:at] + piece + seed[at + length :])
