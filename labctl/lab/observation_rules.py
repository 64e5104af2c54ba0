"""Rules for observations: what they name exists, what they expect can be expected, and which of them are absences.

An absence ("0 frames", "cannot be reached") is true of a dead lab too: `is_absence` tells whether a lab where nothing happens would
satisfy the observation.
"""

import re
import warnings

from labctl.lab.addresses import parse_address, parse_mac, parse_network
from labctl.lab.known import Known
from labctl.lab.observations import (
    NeighbourSeen,
    Observation,
    OutputSeen,
    PathSeen,
    ProbeSeen,
    ReachSeen,
    RouteSeen,
    RunSeen,
    TextExpectations,
    WireSeen,
)
from labctl.lab.tree import Path
from labctl.lab.values import END, Between, Count, Distinct
from labctl.lab.words import meant

TEXT_KEYS = ("equals", "contains", "lacks", "matches", "rows", "json_values")


def judge_observation(seen: Observation, path: Path, known: Known, printing: frozenset[str] | None) -> None:
    """Adds faults. `printing` are the nodes whose command in `do` prints something; None outside checks."""
    match seen:
        case RunSeen():
            known.node(seen.node, (*path, "node"))
            _texts(seen, path, known)
            if seen.compared and printing is None:
                known.faults.add(
                    (*path, "compared"), "`compared` outside a check", "there is no `do` before which it could have been asked"
                )
        case OutputSeen():
            _output(seen, path, known, printing)
        case WireSeen():
            _wire(seen, path, known, printing)
        case ReachSeen():
            judge_target(seen.reach, (*path, "reach"), known, urls=seen.by == "http")
            _port(seen.by, (*path, "by"), known)
        case RouteSeen():
            _route(seen, path, known)
        case NeighbourSeen():
            _neighbour(seen, path, known)
        case PathSeen():
            judge_target(seen.path, (*path, "path"), known, urls=False)
            for number, name in enumerate(seen.via):
                known.node(name, (*path, "via", number))


def is_absence(seen: Observation) -> bool:
    """Whether the observation holds where nothing happens at all."""
    match seen:
        case ReachSeen():
            return seen.fails
        case RouteSeen() | NeighbourSeen():
            return seen.absent
        case WireSeen():
            return not _expects_nothing(seen) and not _some_frames(seen)
        case RunSeen():
            return seen.fails or (seen.compared == "same" and not _some_text(seen)) or _no_text(seen)
        case OutputSeen():
            return _no_text(seen)
        case ProbeSeen():
            return _no_answers(seen)
    return False


def _expects_nothing(seen: WireSeen) -> bool:
    return seen.frames is None and seen.values is None and seen.same_bytes_as is None


def _some_frames(seen: WireSeen) -> bool:
    """Whether at least one frame must have passed."""
    if seen.frames is not None and not _holds(seen.frames, 0):
        return True
    wanted = (seen.values or {}).values()
    return any(not _holds(one.distinct, 0) if isinstance(one, Distinct) else bool(one) for one in wanted)


def _no_text(seen: TextExpectations) -> bool:
    """Whether something is expected not to be there, and nothing to be there."""
    return not _some_text(seen) and (seen.lacks is not None or seen.rows is not None or seen.equals is not None)


def _some_text(seen: TextExpectations) -> bool:
    present = bool(seen.contains or seen.matches or seen.json_values or (seen.equals or "").strip())
    return present or (seen.rows is not None and not _holds(seen.rows, 0))


def _no_answers(seen: ProbeSeen) -> bool:
    """Whether a probe that is never answered would do: then all is lost, in one gap."""
    return seen.at_most is None if seen.probe != "answers" else not (seen.at_least or "0").strip("0.")


def _holds(count: Count, number: int) -> bool:
    return count.holds(number) if isinstance(count, Between) else count == number


def _texts(seen: TextExpectations, path: Path, known: Known) -> None:
    if seen.matches is not None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what a later Python may read otherwise
                re.compile(seen.matches)
        except (re.error, RecursionError, OverflowError) as error:
            known.faults.add((*path, "matches"), f"`{seen.matches[:60]}` is no regular expression", str(error))
    _count(seen.rows, (*path, "rows"), known)


def _count(count: Count | None, path: Path, known: Known) -> None:
    if not isinstance(count, Between):
        return
    if count.at_least is None and count.at_most is None:
        known.faults.add(path, "a count without bounds", "give `at_least`, `at_most` or both")
    elif count.at_least is not None and count.at_most is not None and count.at_least > count.at_most:
        known.faults.add(path, f"no count is at least {count.at_least} and at most {count.at_most}")


def _output(seen: OutputSeen, path: Path, known: Known, printing: frozenset[str] | None) -> None:
    _texts(seen, path, known)
    if known.node(seen.output, (*path, "output")) is None:
        return
    if printing is None:
        known.faults.add((*path, "output"), "`output` outside a check", "there is no `do` whose output could be judged")
    elif seen.output not in printing:
        known.faults.add((*path, "output"), f"`do` runs no command on {seen.output}", "", meant(seen.output, printing) if printing else "")
    if not _damaged(path, known) and all(getattr(seen, key) is None for key in TEXT_KEYS):
        known.faults.add(path, "nothing is expected of this output", "give `equals`, `contains`, `lacks`, `matches`, `rows` or `json`")


def _wire(seen: WireSeen, path: Path, known: Known, printing: frozenset[str] | None) -> None:
    known.end(seen.wire, (*path, "wire"))
    if seen.same_bytes_as is not None:
        known.end(seen.same_bytes_as, (*path, "same_bytes_as"))
    if printing is None:
        known.faults.add((*path, "wire"), "`wire` outside a check", "there is no `do` during which frames could be captured")
    _count(seen.frames, (*path, "frames"), known)
    for field, values in (seen.values or {}).items():
        if not re.fullmatch(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]*", field):
            known.faults.add((*path, "values", field), f"`{field[:60]}` is no field of tshark", "as in ip.src", key=True)
        if isinstance(values, Distinct):
            _count(values.distinct, (*path, "values", field, "distinct"), known)
    if _expects_nothing(seen) and not _damaged(path, known):
        known.faults.add(path, "nothing is expected of this wire", "give `frames`, `values` or `same_bytes_as`")


def _damaged(path: Path, known: Known) -> bool:
    return known.faults.tree.at(path).damaged


def judge_target(text: str, path: Path, known: Known, *, urls: bool) -> None:
    """Adds faults to `pc1 -> 192.168.1.12`: a node, then an address, another node, or (for http) a URL."""
    node, target = text.split(" -> ")
    known.node(node, path)
    if target in known.nodes or (urls and re.fullmatch(r"https?://[^\s'\"`$\\]+", target)):
        return
    try:
        parse_address(target)
    except ValueError as error:
        known.faults.add(path, str(error), "an address or a node is wanted", meant(target, known.nodes) if target[0].isalpha() else "")


def _port(by: str, path: Path, known: Known) -> None:
    number = by.partition("/")[2]
    if number and not 1 <= int(number) <= 65535:
        known.faults.add(path, f"no port {number}", "a port is 1 to 65535")


def _route(seen: RouteSeen, path: Path, known: Known) -> None:
    for name, destination in seen.route.items():
        here = (*path, "route", name)
        if known.node(name, here, key=True) and seen.interface and seen.interface not in _names(known, name):
            hint = meant(seen.interface, _names(known, name))
            known.faults.add((*path, "interface"), f"node {name} has no interface `{seen.interface}`", "", hint)
        try:
            if destination != "default":
                parse_network(destination)
        except ValueError as error:
            known.faults.add(here, str(error))
    if seen.next_hop is not None:
        try:
            parse_address(seen.next_hop)
        except ValueError as error:
            known.faults.add((*path, "next_hop"), str(error))


def _neighbour(seen: NeighbourSeen, path: Path, known: Known) -> None:
    for name, address in seen.neighbour.items():
        here = (*path, "neighbour", name)
        if known.node(name, here, key=True) and seen.interface and seen.interface not in _names(known, name):
            hint = meant(seen.interface, _names(known, name))
            known.faults.add((*path, "interface"), f"node {name} has no interface `{seen.interface}`", "", hint)
        try:
            parse_address(address)
        except ValueError as error:
            known.faults.add(here, str(error))
    if seen.mac is not None and re.fullmatch(END[1:-1], seen.mac):
        known.end(seen.mac, (*path, "mac"))
    elif seen.mac is not None:
        try:
            parse_mac(seen.mac)
        except ValueError as error:
            known.faults.add((*path, "mac"), str(error), "a MAC address or an interface like pc2:eth1 is wanted")


def _names(known: Known, node: str) -> list[str]:
    return [port.name for port in known.interfaces[node]]
