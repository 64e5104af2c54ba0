"""What is expected of an observation, and what an action does, said in English and Japanese.

Owns these sentences: reports, `break --reveal` and the self-test's matrix all use them. What was *seen* is worded where it is judged
(`check/judge.py`). Commands and texts of a lab file are made harmless like a guest's: a lab comes from a stranger.
"""

from collections.abc import Iterable
from functools import singledispatch

from labctl.check.readable import one_line
from labctl.lab.impairments import impairment_of
from labctl.lab.model import (
    Action,
    Between,
    ClearLink,
    Count,
    CutLink,
    Distinct,
    ImpairLink,
    MoveLink,
    NeighbourSeen,
    Observation,
    OnNodes,
    OutputSeen,
    PathSeen,
    Power,
    ProbeSeen,
    ReachSeen,
    RestoreLink,
    RouteSeen,
    RunSeen,
    Seen,
    SetSettings,
    StartCommand,
    Strict,
    Text,
    TextExpectations,
    WireSeen,
)
from labctl.lab.observations import Asked

COMMAND_LENGTH = 120


def both(en: str, ja: str) -> Text:
    """A text in both languages."""
    return Text(en=en, ja=ja)


def same(text: str) -> Text:
    """A text that belongs to no language: a command, the message of a program."""
    return Text(en=text, ja=text)


def joined(texts: Iterable[Text], en: str = "; ", ja: str = "、") -> Text:
    all_texts = tuple(texts)
    return Text(en=en.join(text.en for text in all_texts), ja=ja.join(text.in_language("ja") for text in all_texts))


def prefixed(head: str, text: Text) -> Text:
    return both(f"{head}: {text.en}", f"{head}: {text.in_language('ja')}")


def command_words(command: str) -> str:
    return f"`{one_line(command, COMMAND_LENGTH)}`"


def count_words(count: Count) -> Text:
    """`2` → exactly 2; {at_least: 2} → at least 2."""
    if not isinstance(count, Between):
        return both(f"exactly {count}", f"ちょうど {count}")
    bounds = [f"{count.at_least} 以上"] if count.at_least is not None else []
    bounds += [f"{count.at_most} 以下"] if count.at_most is not None else []
    return both(str(count), "".join(bounds))


def says_of(observation: Observation) -> Text:
    """The author's sentence, or else what is expected."""
    return observation.says or expected_words(observation)


def expected_words(observation: Observation) -> Text:
    window = observation.during if isinstance(observation, Asked | ProbeSeen) else None
    expected = _expected(observation)
    return both(f"{expected.en} ({window})", f"{expected.in_language('ja')}（{window}）") if window else expected


@singledispatch
def _expected(observation: Seen) -> Text:
    raise NotImplementedError(type(observation).__name__)


@_expected.register
def _(observation: RunSeen) -> Text:
    command = command_words(observation.run)
    ends = both(f"{command} fails", f"{command} が失敗する") if observation.fails else both(f"{command} succeeds", f"{command} が成功する")
    return prefixed(observation.node, joined([ends, *text_words(observation), *_compared_words(observation)]))


def _compared_words(observation: RunSeen) -> list[Text]:
    words = {
        "same": ("prints the same as before", "出力が前と同じ"),
        "different": ("prints something else than before", "出力が前と違う"),
        "more": ("prints a larger number than before", "前より大きな数を出力する"),
        "less": ("prints a smaller number than before", "前より小さな数を出力する"),
    }
    return [both(*words[observation.compared])] if observation.compared else []


@_expected.register
def _(observation: OutputSeen) -> Text:
    anything = both("printed something", "何かを出力した")
    return prefixed(observation.output, joined(text_words(observation) or [anything]))


@_expected.register
def _(observation: WireSeen) -> Text:
    matching = f" matching `{one_line(observation.filter)}`" if observation.filter else ""
    matching_ja = f"`{one_line(observation.filter)}` に合う" if observation.filter else ""
    count = count_words(observation.frames if observation.frames is not None else Between(at_least=1))
    parts = [both(f"frames{matching}: {count.en}", f"{matching_ja}フレームの数: {count.ja}")]
    if _only_values(observation):
        parts = [both(f"frames{matching}", f"{matching_ja}フレーム")]
    parts += [_values_words(field, values) for field, values in (observation.values or {}).items()]
    if observation.same_bytes_as:
        other = observation.same_bytes_as
        parts.append(both(f"byte for byte as at {other}", f"{other} と1バイトも違わない"))
    return prefixed(observation.wire, joined(parts))


def _only_values(observation: WireSeen) -> bool:
    return observation.frames is None and bool(observation.values)


def _values_words(field: str, values: list[str] | Distinct) -> Text:
    if isinstance(values, Distinct):
        count = count_words(values.distinct)
        return both(f"different values of {field}: {count.en}", f"{field} の値の種類: {count.ja}")
    listed = ", ".join(one_line(value) for value in values) or "none"
    return both(f"values of {field}: {listed}", f"{field} の値: {listed if values else 'なし'}")


@_expected.register
def _(observation: ReachSeen) -> Text:
    node, _, address = observation.reach.partition(" -> ")
    if observation.fails:
        return both(f"{node} does not reach {address} by {observation.by}", f"{node} から {address} へ {observation.by} では届かない")
    return both(f"{node} reaches {address} by {observation.by}", f"{node} から {address} へ {observation.by} で届く")


@_expected.register
def _(observation: ProbeSeen) -> Text:
    figure, figure_ja = {
        "longest_gap": ("longest time without an answer", "最長の無応答時間"),
        "loss": ("share of probes lost", "プローブの損失"),
        "answers": ("probes answered", "応答のあったプローブ"),
    }[observation.probe]
    bounds = [(observation.at_least, "at least {}", "{} 以上"), (observation.at_most, "at most {}", "{} 以下")]
    given = [both(en.format(value), ja.format(value)) for value, en, ja in bounds if value is not None]
    what = both(f"{figure}: {joined(given, ', ', '、').en}", f"{figure_ja}: {joined(given, ', ', '、').in_language('ja')}")
    return prefixed(observation.of, what) if observation.of else what


@_expected.register
def _(observation: RouteSeen) -> Text:
    extra = joined(_route_details(observation), ", ", "、")
    tail, tail_ja = (f" {extra.en}", f"（{extra.ja}）") if extra.en else ("", "")
    has, has_ja = ("no route", "がない") if observation.absent else ("a route", "がある")
    tables = observation.route.items()
    return joined(both(f"{node} has {has} to {to}{tail}", f"{node} に {to} への経路{tail_ja}{has_ja}") for node, to in tables)


@_expected.register
def _(observation: NeighbourSeen) -> Text:
    details = [(observation.mac, "with MAC {}", "MAC アドレス {}"), (observation.interface, "behind {}", "インターフェース {}")]
    given = [both(en.format(value), ja.format(value)) for value, en, ja in details if value is not None]
    extra = joined(given, ", ", "、")
    tail, tail_ja = (f" {extra.en}", f"（{extra.in_language('ja')}）") if given else ("", "")
    knows, knows_ja = ("does not know", "を知らない") if observation.absent else ("knows", "を知っている")
    tables = observation.neighbour.items()
    return joined(both(f"{node} {knows} its neighbour {to}{tail}", f"{node} は隣の {to}{tail_ja}{knows_ja}") for node, to in tables)


def _route_details(observation: RouteSeen) -> list[Text]:
    details = (
        (observation.next_hop, "via {}", "次のルーター {}"),
        (observation.interface, "out of {}", "インターフェース {}"),
        (observation.metric, "metric {}", "距離（metric） {}"),
        (observation.source, "found by {}", "{} が見つけた"),
    )
    return [both(en.format(value), ja.format(value)) for value, en, ja in details if value is not None]


@_expected.register
def _(observation: PathSeen) -> Text:
    node, _, address = observation.path.partition(" -> ")
    if not observation.via:
        return both(f"packets from {node} to {address} pass no node between", f"{node} から {address} へのパケットは途中のノードを通らない")
    via, via_ja = ", ".join(observation.via), "、".join(observation.via)
    return both(f"packets from {node} to {address} go through {via}", f"{node} から {address} へのパケットは {via_ja} を通る")


def text_words(expect: TextExpectations) -> list[Text]:
    """Every expectation on a text, one sentence each."""
    found: list[Text] = []
    if expect.equals is not None:
        found.append(both(f"prints exactly “{one_line(expect.equals)}”", f"出力がちょうど「{one_line(expect.equals)}」"))
    found += [both(f"prints “{one_line(piece)}”", f"出力に「{one_line(piece)}」がある") for piece in pieces(expect.contains)]
    found += [both(f"does not print “{one_line(piece)}”", f"出力に「{one_line(piece)}」がない") for piece in pieces(expect.lacks)]
    if expect.matches is not None:
        found.append(both(f"matches /{one_line(expect.matches)}/", f"出力が正規表現 /{one_line(expect.matches)}/ に合う"))
    if expect.rows is not None:
        count = count_words(expect.rows)
        found.append(both(f"rows: {count.en}", f"出力の行数: {count.ja}"))
    for path, value in (expect.json_values or {}).items():
        found.append(same(f"{one_line(path)} = {one_line(repr(value))}"))
    return found


def pieces(given: str | list[str] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


# --- actions -----------------------------------------------------------------------------------------------------------------


def actions_words(actions: Iterable[Action]) -> Text:
    return joined(_action(action) for action in actions)


@singledispatch
def _action(action: Strict) -> Text:
    raise NotImplementedError(type(action).__name__)


@_action.register
def _(action: OnNodes) -> Text:
    lines = []
    for node, command in action.commands.items():
        words = command_words(command.start if isinstance(command, StartCommand) else command.run)
        lines.append(f"{node}: {words} &" if isinstance(command, StartCommand) else f"{node}: {words}")
    return same(", ".join(lines))


@_action.register
def _(action: SetSettings) -> Text:
    changes = [f"{node} {key}={one_line(str(value))}" for node, settings in action.set.items() for key, value in settings.items()]
    return both(f"set {', '.join(changes)}", f"設定変更 {', '.join(changes)}")


@_action.register
def _(action: CutLink) -> Text:
    return both(f"pull the cable at {action.cut}", f"{action.cut} のケーブルを抜く")


@_action.register
def _(action: RestoreLink) -> Text:
    return both(f"put the cable back at {action.restore}", f"{action.restore} のケーブルを挿し直す")


@_action.register
def _(action: ImpairLink) -> Text:
    words = impairment_of(action)
    way, way_ja = (", one way", "（片方向）") if action.one_way else ("", "")
    return both(
        f"impair the link at {action.impair}: {words or 'nothing'}{way}", f"{action.impair} のリンクを悪くする{way_ja}: {words or 'なし'}"
    )


@_action.register
def _(action: ClearLink) -> Text:
    return both(f"clear the link at {action.clear}", f"{action.clear} のリンクを元に戻す")


@_action.register
def _(action: MoveLink) -> Text:
    return both(f"move the cable {action.move}", f"ケーブルを移す {action.move}")


@_action.register
def _(action: Power) -> Text:
    words = {"off": ("power cut", "電源断"), "on": ("power on", "電源投入"), "reboot": ("reboot", "再起動")}
    return joined(both(f"{words[state][0]} of {node}", f"{node} の{words[state][1]}") for node, state in action.power.items())
