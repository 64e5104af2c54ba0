"""JSON that labctl wrote, read back as the type that it was: exactly, or refused. Nothing is guessed, so no record is ever misread.

Owns the comparison of data with dataclasses and their annotations. No pydantic: `status` and completion read records and must be quick.
A field that is missing takes its default (an older labctl did not write it yet); one that is unknown is a newer labctl's.
"""

import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Built = TypeVar("Built")
LONGEST = 64 * 1024 * 1024  # characters of one record: a lab of 500 nodes has 400,000
SHOWN = 60
_HINTS: dict[Any, Mapping[str, Any]] = {}


class Unfit(ValueError):
    """The data is not of the type."""


class Unknown(Unfit):
    """A field that this labctl does not know."""


def read(file: Path) -> Any:
    """The JSON of `file` as data. `OSError` if it cannot be read, `Unfit` as below."""
    with file.open(encoding="utf-8") as stream:
        return parse(stream.read(LONGEST + 1))


def parse(text: str) -> Any:
    """JSON as data; `Unfit` for what is none, is too long or too deep, or holds a number that JSON has not."""
    if len(text) > LONGEST:
        raise Unfit(f"it is longer than {LONGEST} characters")
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise Unfit("nested too deeply") from None
    except Unfit:
        raise
    except ValueError as error:
        raise Unfit(str(error)) from None


def _no_number(word: str) -> None:
    raise Unfit(f"{word} is no number")


def built(kind: type[Built], data: Any, place: str = "it") -> Built:
    """`data` as `kind`: a dataclass, str, bool, int, float, tuple[…], Mapping[str, …]. `Unfit` says where it is something else."""
    made: Built = _built(kind, data, place)
    return made


def _built(kind: Any, data: Any, place: str) -> Any:
    if kind is Any:
        return data
    if is_dataclass(kind) and isinstance(kind, type):
        return _of_class(kind, data, place)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _first_fitting(inner, data, place)
    if origin is tuple:
        return _of_tuple(inner, data, place)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        _need(isinstance(data, dict), "an object", data, place)
        return {key: _built(inner[1], value, f"{place}.{key[:SHOWN]}") for key, value in data.items()}
    return _simple(kind, data, place)


def _simple(kind: Any, data: Any, place: str) -> Any:
    if kind is Path:
        return Path(_simple(str, data, place))
    if kind is float:
        _need(type(data) in (int, float) and isfinite(data), "a number", data, place)
        return float(data)
    _need(type(data) is kind, "nothing" if kind is types.NoneType else kind.__name__, data, place)
    return data


def _first_fitting(kinds: tuple[Any, ...], data: Any, place: str) -> Any:
    for kind in kinds[:-1]:
        try:
            return _built(kind, data, place)
        except Unfit:
            continue
    return _built(kinds[-1], data, place)


def _of_tuple(inner: tuple[Any, ...], data: Any, place: str) -> tuple[Any, ...]:
    _need(isinstance(data, list), "a list", data, place)
    if inner[-1] is Ellipsis:
        return tuple(_built(inner[0], value, f"{place}[{number}]") for number, value in enumerate(data))
    _need(len(data) == len(inner), f"a list of {len(inner)}", data, place)
    return tuple(_built(kind, value, f"{place}[{number}]") for number, (kind, value) in enumerate(zip(inner, data, strict=True)))


def _of_class(kind: type[Any], data: Any, place: str) -> Any:
    _need(isinstance(data, dict), "an object", data, place)
    hints = _HINTS.get(kind) or _HINTS.setdefault(kind, get_type_hints(kind))
    known = {field.name: field for field in fields(kind)}
    if unknown := sorted(set(data) - set(known)):
        raise Unknown(f"{place} has a field {unknown[0][:SHOWN]!r} that this labctl does not know")
    for name, field in known.items():
        if name not in data and field.default is MISSING and field.default_factory is MISSING:
            raise Unfit(f"{place} has no {name}")
    return kind(**{name: _built(hints[name], value, f"{place}.{name}") for name, value in data.items()})


def _need(holds: bool, wanted: str, data: Any, place: str) -> None:
    if not holds:
        raise Unfit(f"{place} is {repr(data)[:SHOWN]}, not {wanted}")
