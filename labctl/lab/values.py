"""The simplest values of a lab file: names, ends, durations, commands, numbers, texts, counts.

Owns their patterns, the words for them (`WORDS_FOR`: what a message says instead of a regular expression), and how they are read:
text stays what was typed, numbers and truth values follow YAML's core rules (`lab/yaml12.py`).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from labctl.lab.short_forms import as_strings, as_text, as_value

NAME = r"^[a-z][a-z0-9-]{0,19}$"
INTERFACE = r"^[a-z][a-z0-9.-]{0,14}$"
END = r"^[a-z][a-z0-9-]{0,19}:[a-z][a-z0-9.-]{0,14}$"
NODE_KEY = r"^[a-z][a-z0-9-]{0,19}([.]{2}[a-z][a-z0-9-]{0,19})?$"
MOVE = END[:-1] + r" -> " + END[1:]
TOWARDS = r"^[a-z][a-z0-9-]{0,19} -> \S+$"
REACH_BY = r"^(ping|http|(tcp|udp)/[0-9]{1,5})$"
CHECK_ID = r"^[a-z][a-z0-9-]{0,59}$"
CLAIM = r"^[0-9]+(-[0-9]+)*/[a-z0-9][a-z0-9-]*$"
PACKAGE = r"^[a-z0-9][a-z0-9+.-]{1,63}$"
UNPACK_PLACE = r"^/srv/[a-z0-9][a-z0-9._-]{0,39}$"
DURATION = r"^[0-9]+(\.[0-9]+)?(ms|s|m)$"
MEMORY = r"^[0-9]+(MiB|GiB)$"
MODE = r"^0?[0-7]{3,4}$"
WINDOW = DURATION[:-1] + r"\.\." + DURATION[1:]
FIGURE = r"^[0-9]+(\.[0-9]+)?(ms|s|m|%)?$"
PERCENT = r"^(100|[0-9]{1,2}(\.[0-9]{1,4})?)%$"
RATE = r"^[1-9][0-9]{0,8}(kbit|mbit|gbit)$"

WORDS_FOR = {
    NAME: "a name is lower-case letters, digits and -, begins with a letter and has at most 20 characters",
    INTERFACE: "an interface is lower-case letters, digits, - and ., begins with a letter and has at most 15 characters",
    END: "an end is written node:interface, as in pc1:eth1",
    MOVE: "a move is written pc1:eth1 -> sw1:port4",
    TOWARDS: "it is written node -> address, as in pc1 -> 192.168.1.12",
    REACH_BY: "it is ping, http, tcp/80 or udp/53 with some port",
    CHECK_ID: "an id is lower-case letters, digits and -, begins with a letter and has at most 60 characters",
    CLAIM: "a claim is written section/word, as in 3-3-4/hub",
    PACKAGE: "a package is the name of a Debian package, nothing else",
    UNPACK_PLACE: "packages of another architecture are unpacked in a directory right below /srv, as in /srv/arm64",
    DURATION: "a duration is written like 500ms, 2s or 1m",
    MEMORY: "memory is written like 512MiB or 2GiB",
    MODE: "permissions are octal, like 0644",
    WINDOW: "a window is written like 10s..18s",
    FIGURE: "a figure is a duration like 2s, a share like 5%, or a number",
    PERCENT: "a share is written like 1% or 0.5%, at most 100%",
    RATE: "a rate is written like 64kbit, 10mbit or 1gbit",
}

Name = Annotated[str, Field(pattern=NAME, description="lower-case letters, digits and -, at most 20 characters")]
NodeKey = Annotated[str, Field(pattern=NODE_KEY, description="a node, or a range of nodes: pc1..pc3")]
EndName = Annotated[str, Field(pattern=END, description="node:interface, as in pc1:eth1")]
Claim = Annotated[str, Field(pattern=CLAIM, description="section/word, as in 3-3-4/hub")]
Architecture = Literal["amd64", "arm64", "armel", "armhf", "i386", "mips64el", "mipsel", "ppc64el", "s390x"]
UnpackPlace = Annotated[str, Field(pattern=UNPACK_PLACE, description="a directory right below /srv")]
PackageName = Annotated[str, Field(pattern=PACKAGE, description="name of a Debian package, nothing else")]
Duration = Annotated[str, Field(pattern=DURATION, description="as in 500ms, 2s, 1m")]
Figure = Annotated[str, Field(pattern=FIGURE, description="as in 2s, 5%, 3")]
Command = Annotated[str, Field(min_length=1, max_length=65536, description="shell command, run as root in the node by sh")]
FileMode = Annotated[str, Field(pattern=MODE, description="permissions, octal")]
Flag = Annotated[bool, Field(strict=True), BeforeValidator(as_value, json_schema_input_type=bool)]
Number = Annotated[int, Field(strict=True), BeforeValidator(as_value, json_schema_input_type=int)]
Strings = Annotated[tuple[str, ...], BeforeValidator(as_strings, json_schema_input_type=str | tuple[str, ...])]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(Strict):
    """A text for people. Japanese falls back to English."""

    en: str = Field(description="English")
    ja: str = Field(default="", description="Japanese")

    def in_language(self, language: str) -> str:
        return self.ja if language == "ja" and self.ja else self.en


UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def seconds_of(duration: str) -> float:
    """`500ms`, `2s`, `1m` → seconds."""
    unit = "ms" if duration.endswith("ms") else duration[-1]
    return float(duration.removesuffix(unit)) * UNITS[unit]


Words = Annotated[Text, BeforeValidator(as_text, json_schema_input_type=str | Text)]


class Between(Strict):
    """A count within bounds, both included."""

    at_least: Number | None = Field(default=None, ge=0, description="no fewer than this")
    at_most: Number | None = Field(default=None, ge=0, description="no more than this")

    def holds(self, count: int) -> bool:
        return (self.at_least is None or count >= self.at_least) and (self.at_most is None or count <= self.at_most)

    def __str__(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"{self.at_least} to {self.at_most}"
        return f"at least {self.at_least}" if self.at_least is not None else f"at most {self.at_most}"


def _count_kind(value: Any) -> str:
    return "Between" if isinstance(value, Mapping | Between) else "number"


Count = Annotated[
    Annotated[Number, Field(ge=0), Tag("number")] | Annotated[Between, Tag("Between")],
    Discriminator(_count_kind),
]


class Distinct(Strict):
    """How many different values there are."""

    distinct: Count = Field(description="their number")


def _values_kind(value: Any) -> str:
    return "Distinct" if isinstance(value, Mapping | Distinct) else "list"


FieldValues = Annotated[Annotated[list[str], Tag("list")] | Annotated[Distinct, Tag("Distinct")], Discriminator(_values_kind)]


def _texts_kind(value: Any) -> str:
    return "text" if isinstance(value, str) else "list"


OneOrMore = Annotated[Annotated[str, Tag("text")] | Annotated[list[str], Tag("list")], Discriminator(_texts_kind)]
