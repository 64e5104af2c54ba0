"""The scripts that observations become: whole, quoted, and sh can read them."""

import shlex
import subprocess
from typing import Any

import pytest
from pydantic import TypeAdapter

from labctl.check.ask import ask, question
from labctl.lab.model import Observation
from labctl.lab.values import seconds_of

OBSERVATION: TypeAdapter[Observation] = TypeAdapter(Observation)


def observation(**keys: Any) -> Observation:
    return OBSERVATION.validate_python(keys)


def command(**keys: Any) -> str:
    """The command inside the deadline."""
    (asked,) = ask(observation(**keys))
    words = shlex.split(asked.script)
    assert words[:3] == ["timeout", "-k", "2"]
    assert words[4:6] == ["sh", "-c"]
    assert words[7:] == ["</dev/null"]
    return words[6]


def test_a_command_runs_as_it_stands() -> None:
    assert command(node="sw1", run="bridge fdb show | grep 'x y' && echo \"$HOME\"") == "bridge fdb show | grep 'x y' && echo \"$HOME\""


def test_reach() -> None:
    assert command(reach="pc1 -> 192.168.1.12") == "ping -n -q -c 3 -i 0.2 -W 1 -- 192.168.1.12"
    assert command(reach="pc1 -> 192.168.1.12", by="tcp/80") == "nc -v -z -w 2 -- 192.168.1.12 80"
    assert command(reach="pc1 -> 10.0.0.1", by="http") == "curl -sS -o /dev/null -m 5 -w '%{http_code}\\n' --url http://10.0.0.1/"
    assert command(reach="pc1 -> fd00::1", by="http").endswith("--url 'http://[fd00::1]/'")
    assert command(reach="pc1 -> https://web/x?y=1", by="http").endswith("--url 'https://web/x?y=1'")


def test_udp_is_asked_by_a_program_that_waits_for_an_answer() -> None:
    words = shlex.split(command(reach="pc1 -> 10.0.0.1", by="udp/7"))
    assert words[:4] == ["python3", "-I", "-S", "-c"]
    assert words[5:] == ["10.0.0.1", "7", b"labctl\n".hex(), "2"]
    compile(words[4], "probe", "exec")
    assert shlex.split(command(reach="pc1 -> 10.0.0.1", by="udp/53"))[7].startswith("6c61")


def test_route_and_path() -> None:
    asked = ask(observation(route={"r1": "10.3.0.0/24", "r2": "default"}))
    assert [one.node for one in asked] == ["r1", "r2"]
    assert "ip -json route show table main exact 10.3.0.0/24" in asked[0].script
    assert "ip -json route show table main exact default" in asked[1].script
    assert command(route={"r1": "fd00::/64"}) == "ip -json -6 route show table main exact fd00::/64"
    assert command(route={"r1": "10.3.0.0/24"}, **{"from": "ospf"}) == "vtysh -c 'show ip route 10.3.0.0/24 json'"
    assert command(route={"r1": "default"}, **{"from": "bgp"}) == "vtysh -c 'show ip route 0.0.0.0/0 json'"
    assert command(route={"r1": "fd00::/64"}, **{"from": "static"}) == "vtysh -c 'show ipv6 route fd00::/64 json'"
    assert command(path="h1 -> 10.3.0.10", via=["r1", "r2"]) == "traceroute -I -n -q 1 -w 1 -m 7 10.3.0.10"


def test_waits_follow_the_machines() -> None:
    slow = ask(observation(reach="pc1 -> 10.0.0.1"), time_scale=4)[0]
    assert "-W 2" in slow.script
    assert slow.timeout_s == 80


def test_wires_and_output_ask_nobody() -> None:
    assert ask(observation(wire="pc1:eth1", frames=0)) == ()
    assert ask(observation(output="pc1", rows=1)) == ()


@pytest.mark.parametrize("evil", ["x';touch${IFS}/tmp/evil;'", "$(reboot)", "`id`", 'a"b', "-o"])
@pytest.mark.parametrize("by", ["ping", "tcp/1", "udp/1", "http"])
def test_an_address_stays_one_word(evil: str, by: str) -> None:
    wanted = f"http://{evil}/" if by == "http" else evil
    assert wanted in shlex.split(command(reach=f"pc1 -> {evil}", by=by))


@pytest.mark.parametrize("command", ["true", "echo 'a'; false", "cat <<'X'\na\nX\n", "sleep 9"])
def test_a_question_is_a_script_that_sh_runs(command: str) -> None:
    asked = question("n1", command, 0.5)
    done = subprocess.run(["sh", "-s"], input=asked.script, capture_output=True, text=True, check=False)
    assert done.returncode == {"true": 0, "sleep 9": 124, "echo 'a'; false": 1}.get(command, 0)
    assert done.stderr == ""


def test_a_command_cannot_eat_the_script_it_came_in() -> None:
    asked = question("n1", "cat", 5)
    done = subprocess.run(["sh", "-s"], input=asked.script + "\necho after\n", capture_output=True, text=True, check=False)
    assert done.stdout == "after\n"


@pytest.mark.parametrize(("words", "seconds"), [("500ms", 0.5), ("2s", 2.0), ("1.5s", 1.5), ("1m", 60.0)])
def test_durations(words: str, seconds: float) -> None:
    assert seconds_of(words) == seconds
