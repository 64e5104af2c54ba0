"""What a link does to frames: delay, jitter, loss, rate, duplicates, another order, wrong bits, a smaller MTU.

Owns these words, in the lab file, in the action `impair` and on the command line, and what they mean together. A value is per direction:
`delay: 30ms` makes the round trip 60 ms longer. Setting them in a node is `guest/impairing.py`'s.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from labctl.errors import UsageError
from labctl.lab.values import PERCENT, RATE, WORDS_FOR, Duration, Number, Strict, seconds_of
from labctl.lab.words import quoted

SMALLEST_MTU, LARGEST_MTU = 68, 9000  # RFC 791, 3.2: every link carries 68 bytes; the wires here carry frames of 9,216
LONGEST_DELAY_S = 60.0

Percent = Annotated[str, Field(pattern=PERCENT, description="as in 1%")]
Rate = Annotated[str, Field(pattern=RATE, description="as in 64kbit, 10mbit, 1gbit")]
Mtu = Annotated[Number, Field(ge=SMALLEST_MTU, le=LARGEST_MTU)]


class ImpairmentKeys(BaseModel):
    """The words; each is for one direction."""

    delay: Duration | None = Field(default=None, description="each frame arrives so much later")
    jitter: Duration | None = Field(default=None, description="the delay varies by so much; frames may overtake each other")
    loss: Percent | None = Field(default=None, description="share of frames that are lost")
    rate: Rate | None = Field(default=None, description="no more than so many bits a second; at most 1000 frames wait")
    duplicate: Percent | None = Field(default=None, description="share of frames that arrive twice")
    reorder: Percent | None = Field(default=None, description="share of frames that skip the delay and overtake others")
    corrupt: Percent | None = Field(default=None, description="share of frames with one wrong bit")
    mtu: Mtu | None = Field(default=None, description="largest packet in bytes; set at the interfaces, 1500 without it")


class Impairment(Strict, ImpairmentKeys):
    """What happens to frames that leave one interface."""

    def words(self) -> dict[str, Any]:
        """What is set, as it was typed: `{"delay": "30ms"}`."""
        return {key: value for key in KEYS if (value := getattr(self, key)) is not None}

    def __bool__(self) -> bool:
        return bool(self.words())

    def __str__(self) -> str:
        return ", ".join(f"{key} {value}" for key, value in self.words().items())


KEYS = tuple(ImpairmentKeys.model_fields)
NONE = Impairment()


def impairment_of(keys: ImpairmentKeys) -> Impairment:
    """The impairment in a link or an action; values that mean nothing (`0ms`) are left out."""
    given = {key: value for key in KEYS if (value := getattr(keys, key)) is not None}
    return Impairment(**{key: value for key, value in given.items() if not _is_nothing(value)})


def merged(before: Impairment, changes: ImpairmentKeys) -> Impairment:
    """`before` with the changes: what is not named stays, `0ms` and `0%` take away."""
    given = {key: value for key in KEYS if (value := getattr(changes, key)) is not None}
    return impairment_of(Impairment(**{**before.words(), **given}))


def why_impossible(impairment: Impairment) -> tuple[str, str] | None:
    """The key that cannot be had so, and why; None if all is well."""
    if impairment.delay is not None and seconds_of(impairment.delay) > LONGEST_DELAY_S:
        return "delay", f"at most {LONGEST_DELAY_S:g}s"
    for key in ("jitter", "reorder"):
        if getattr(impairment, key) is not None and impairment.delay is None:
            return key, "it needs a `delay`: only what waits can come at another time"
    return None


def read_words(words: Mapping[str, Any]) -> Impairment:
    """Values of a command line: `{"delay": "30ms"}`. `UsageError` with what a value should look like."""
    try:
        return Impairment.model_validate(dict(words))
    except ValidationError as wrong:
        error = wrong.errors()[0]
        key, context = str(error["loc"][0]), error.get("ctx", {})
        bounds = f"from {SMALLEST_MTU} to {LARGEST_MTU}" if key == "mtu" else ""
        raise UsageError(
            f"{key} is {quoted(error['input'])}", why=WORDS_FOR.get(context.get("pattern", ""), bounds), hint="as in --delay 30ms --loss 1%"
        ) from None


def _is_nothing(value: Any) -> bool:
    return isinstance(value, str) and value.rstrip("ms%").strip("0.") == "" and not value.endswith("bit")
