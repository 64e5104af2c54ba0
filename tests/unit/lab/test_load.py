"""A good lab file becomes a complete Lab: short forms written out, addresses and MACs given, defaults filled in."""

import subprocess
import sys
import time
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from labctl.errors import LoadError, UsageError
from labctl.lab.addresses import lab_seed, mac_of
from labctl.lab.digest import digest_of
from labctl.lab.load import find_lab, load_lab, load_role, role_names, shipped_labs, word_for
from labctl.lab.model import CutLink, MoveLink, OnNodes, Power, RunCommand, SetSettings, StartCommand, WireSeen
from labctl.lab.topology import End
from tests.unit.lab.conftest import LoadText, MakeLab

TWO = """nodes:
  pc1: {role: host, gateway: 10.0.0.254, routes: [{to: 10.9.0.0/16, via: 10.0.0.253}]}
  pc2: host
  sw1: l2-switch
links:
  - pc1:eth1 -- sw1:port1
  - {ends: pc2:eth1 -- sw1:port10, vlan: 20}
addresses:
  pc1: {eth1: 10.0.0.1/24, lo: [10.255.0.1/32, 10.255.0.2/32]}
  pc2: {eth1: 10.0.0.2/24, eth1.30: 10.0.3.2/24}
  sw1: {br0: 10.0.1.1/24}
"""
SEE = "    see: [{reach: pc1 -> 10.0.0.2}]\n"
CHECK = f"checks:\n  - id: a\n    says: x\n{SEE}"


def test_a_small_lab_is_complete(load_text: LoadText) -> None:
    lab = load_text(TWO)
    pc1 = lab.node("pc1")
    assert [node.name for node in lab.nodes] == ["pc1", "pc2", "sw1"]
    assert [node.index for node in lab.nodes] == [0, 1, 2]
    assert pc1.gateway == ip_address("10.0.0.254")
    assert (pc1.routes[0].to, pc1.routes[0].via) == ("10.9.0.0/16", ip_address("10.0.0.253"))
    assert pc1.interface("eth1").addresses == (ip_interface("10.0.0.1/24"),)
    assert (pc1.memory_mib, pc1.cpus) == (256, 1)
    assert lab.link_at(End("sw1", "port1")) == lab.links[0]
    assert (lab.variant, lab.variants) == ("default", ("default",))


def test_only_what_a_cable_can_be_in_has_a_mac(load_text: LoadText) -> None:
    lab = load_text(TWO)
    assert [port.name for port in lab.node("pc1").nics] == ["eth1"]
    assert lab.node("pc1").interface("lo").mac is None
    assert lab.node("pc2").interface("eth1.30").mac is None
    assert lab.node("sw1").interface("br0").mac is None


def test_ports_are_numbered_in_natural_order(load_text: LoadText) -> None:
    links = "links: [pc1:eth1 -- sw1:port10, pc2:eth1 -- sw1:port9, pc3:eth1 -- sw1:port1]\n"
    lab = load_text("nodes: {pc1..pc3: host, sw1: l2-switch}\n" + links)
    assert [port.name for port in lab.node("sw1").nics] == ["port1", "port9", "port10"]
    assert [port.mac for port in lab.node("sw1").nics] == [mac_of(lab_seed("small"), 3, port) for port in range(3)]


def test_a_node_that_is_not_in_the_lab_is_refused_with_those_that_are(load_text: LoadText) -> None:
    with pytest.raises(UsageError, match="no node 'pc9' in") as refused:
        load_text(TWO).node("pc9")
    assert refused.value.hint == "nodes: pc1, pc2, sw1"


def test_a_mac_is_the_prefix_of_qemu_then_lab_node_and_port() -> None:
    assert mac_of(0xABC, 0x12, 0x3) == "52:54:00:ab:c1:23"


def test_macs_stay_different_beyond_256_nodes() -> None:
    assert len({mac_of(0xFFF, node, port) for node in range(1024) for port in (0, 15)}) == 2048


def test_a_literal_mac_takes_the_place_of_the_computed_one(load_text: LoadText) -> None:
    lab = load_text(TWO.replace("pc2: host", "pc2: {role: host, macs: {eth1: 00-1B-63-00-00-01}}"))
    assert lab.node("pc2").interface("eth1").mac == "00:1b:63:00:00:01"


def test_a_port_without_a_cable_is_a_network_card(load_text: LoadText) -> None:
    lab = load_text(TWO.replace("sw1: l2-switch", "sw1: {role: l2-switch, ports: [port4]}"))
    assert [port.name for port in lab.node("sw1").nics] == ["port1", "port4", "port10"]
    assert lab.link_at(End("sw1", "port4")) is None


def test_a_range_makes_every_node_of_it(load_text: LoadText) -> None:
    lab = load_text("nodes:\n  pc9..pc11: {role: host, cpus: 2}\n  r01..r02: router\n")
    assert [node.name for node in lab.nodes] == ["pc9", "pc10", "pc11", "r01", "r02"]
    assert [node.cpus for node in lab.nodes] == [2, 2, 2, 1, 1]


def test_settings_are_read_by_the_roles_schema_and_defaults_filled_in(load_text: LoadText) -> None:
    host = "{role: host, version: 1.10, services: [{port: 080}, {port: 443, name: 010}]}"
    lab = load_text(f"nodes:\n  pc1: {host}\n  sw1: {{role: l2-switch, learning: false}}\n")
    services = [{"port": 80, "name": "unnamed"}, {"port": 443, "name": "010"}]
    assert lab.node("pc1").settings == {"shell": "bash", "version": "1.10", "services": services}
    assert lab.node("sw1").settings == {"ageing": 300, "learning": False}


def test_a_links_setting_goes_to_the_end_whose_role_knows_it(load_text: LoadText) -> None:
    lab = load_text(TWO)
    assert lab.node("sw1").interface("port10").settings == {"vlan": 20}
    assert lab.node("sw1").interface("port1").settings == {"vlan": 1}
    assert lab.node("pc2").interface("eth1").settings == {"mtu": 1500}


def test_addresses_may_stand_twice_on_different_segments(load_text: LoadText) -> None:
    lab = load_text(
        "nodes: {pc1..pc2: host, r1: router}\nlinks: [pc1:eth1 -- r1:eth1, pc2:eth1 -- r1:eth2]\n"
        "addresses:\n  pc1: {eth1: 10.0.0.1/24}\n  pc2: {eth1: 10.0.0.1/24}\n"
    )
    assert len(lab.nodes) == 3


def test_ports_of_different_vlans_are_not_taken_for_one_segment(load_text: LoadText) -> None:
    text = TWO.replace("10.0.0.2/24", "10.0.0.1/24")
    assert load_text(text).node("pc2").interface("eth1").addresses == (ip_interface("10.0.0.1/24"),)
    with pytest.raises(LoadError, match="stands twice on one segment"):
        load_text(text.replace("vlan: 20", "vlan: 1"))


# --- variants --------------------------------------------------------------------------------------------------------------


VARIANTS = TWO + "variants:\n  deaf: {sw1: {learning: false, port1: {vlan: 30}}}\n  quick: {sw1: {ageing: 5}, pc1..pc2: {shell: dash}}\n"


def test_a_variant_changes_settings_and_nothing_else(load_text: LoadText) -> None:
    plain, deaf, quick = (load_text(VARIANTS, variant) for variant in ("default", "deaf", "quick"))
    assert plain.variants == ("default", "deaf", "quick")
    assert plain.node("sw1").settings == {"ageing": 300, "learning": True}
    assert deaf.node("sw1").settings == {"ageing": 300, "learning": False}
    assert deaf.node("sw1").interface("port1").settings == {"vlan": 30}
    assert [node.settings["shell"] for node in quick.nodes[:2]] == ["dash", "dash"]
    assert len({plain.digest, deaf.digest, quick.digest}) == 3


def test_a_variant_that_there_is_not_is_wrong_usage(load_text: LoadText) -> None:
    with pytest.raises(UsageError) as caught:
        load_text(VARIANTS, "quik")
    assert caught.value.hint == "did you mean `quick`?"


# --- checks ----------------------------------------------------------------------------------------------------------------


def test_short_actions_are_written_out(load_text: LoadText) -> None:
    lab = load_text(
        TWO
        + CHECK
        + """    before: {pc1..pc2: {start: sleep 1}}
    do:
      - {pc1: ping -c 1 10.0.0.2, pc2: {run: ls, fails: true, within: 5s}}
      - {set: {sw1: {ageing: 010, learning: true, port10: {vlan: 1}}}}
      - {cut: pc1:eth1}
      - {move: pc1:eth1 -> sw1:port10}
      - {power: {pc1..pc2: off}}
    sabotage:
      - {pc1: 'true'}
      - {do: {cut: pc1:eth1}, undo: {restore: pc1:eth1}, says: the cable is out}
      - [{cut: pc1:eth1}, {cut: pc2:eth1}]
"""
    )
    check = lab.checks[0]
    assert check.before == (OnNodes(commands={"pc1": StartCommand(start="sleep 1"), "pc2": StartCommand(start="sleep 1")}),)
    assert check.do == (
        OnNodes(commands={"pc1": RunCommand(run="ping -c 1 10.0.0.2"), "pc2": RunCommand(run="ls", fails=True, within="5s")}),
        SetSettings(set={"sw1": {"ageing": 10, "learning": True, "port10": {"vlan": 1}}}),
        CutLink(cut="pc1:eth1"),
        MoveLink(move="pc1:eth1 -> sw1:port10"),
        Power(power={"pc1": "off", "pc2": "off"}),
    )
    assert [len(way.actions) for way in check.sabotage] == [1, 1, 2]
    assert check.sabotage[1].says is not None
    assert check.sabotage[1].says.en == "the cable is out"


def test_texts_that_look_like_numbers_are_compared_as_typed(load_text: LoadText) -> None:
    lab = load_text(
        TWO
        + """checks:
  - id: a
    says: x
    see:
      - {node: pc1, run: cat version, equals: 1.10, json: {"a.b": 1.10, "c": true, "d": 010}}
      - {wire: pc1:eth1, values: {tcp.srcport: [5000], eth.src: [52:54:00:12:34:56]}}
    sabotage: {cut: pc1:eth1}
"""
    )
    first, second = lab.checks[0].see
    assert first.model_dump()["equals"] == "1.10"
    assert first.model_dump()["json_values"] == {"a.b": 1.1, "c": True, "d": 10}
    assert isinstance(second, WireSeen)
    assert second.values == {"tcp.srcport": ["5000"], "eth.src": ["52:54:00:12:34:56"]}


def test_a_check_read_from_a_lab_can_be_dumped_and_read_again(load_text: LoadText) -> None:
    check = load_text(TWO + CHECK + "    do: {pc1: ls}\n    sabotage: {cut: pc1:eth1}\n").checks[0]
    assert type(check).model_validate(check.model_dump(by_alias=True)) == check


def test_a_cable_that_a_move_plugs_in_can_be_cut(load_text: LoadText) -> None:
    text = TWO.replace("sw1: l2-switch", "sw1: {role: l2-switch, ports: [port4]}") + CHECK
    text += "    do: {move: pc1:eth1 -> sw1:port4}\n"
    assert load_text(text + "    sabotage: {cut: sw1:port4}\n").checks
    with pytest.raises(LoadError, match="no cable is in"):
        load_text(text.replace("{move: pc1:eth1 -> sw1:port4}", "{pc1: ls}") + "    sabotage: {cut: sw1:port4}\n")


# --- digest ----------------------------------------------------------------------------------------------------------------


def test_the_digest_changes_with_what_decides_the_running_lab(load_text: LoadText, tmp_path: Path) -> None:
    digests = {load_text(TWO).digest}
    for old, new in (("pc2: host", "pc2: {role: host, memory: 512MiB}"), ("10.0.0.2/24", "10.0.0.3/24"), ("vlan: 20", "vlan: 21")):
        digests.add(load_text(TWO.replace(old, new)).digest)
    load_text(TWO)
    (tmp_path / "roles" / "host" / "interfaces.j2").write_text("changed")
    digests.add(load_lab(tmp_path / "lab.yaml").digest)
    assert len(digests) == 5
    assert all(len(digest) == 64 for digest in digests)


def test_the_digest_does_not_change_with_words_and_checks(load_text: LoadText) -> None:
    plain = load_text(TWO)
    other = load_text("# a comment\nsummary: more words\n" + TWO + CHECK + "    sabotage: {cut: pc1:eth1}\n")
    assert plain.digest == other.digest == digest_of(other)


# --- finding ---------------------------------------------------------------------------------------------------------------


def test_a_lab_is_found_by_its_directory_and_by_its_file(make_lab: MakeLab) -> None:
    file = make_lab(TWO)
    assert find_lab(str(file)) == file
    assert find_lab(str(file.parent)) == file


def test_a_shipped_lab_is_found_by_its_name() -> None:
    for file in shipped_labs():
        assert find_lab(file.parent.name) == file


@pytest.mark.parametrize("word", ["", "no-such-lab", "/nowhere", "a" * 5000, "a\0b", "~nobody-of-that-name/x"])
def test_a_lab_that_there_is_not_is_wrong_usage(word: str) -> None:
    with pytest.raises(UsageError, match="no lab"):
        find_lab(word)


def test_a_directory_whose_lab_file_has_another_name_says_so(tmp_path: Path) -> None:
    (tmp_path / "lab.yml").touch()
    with pytest.raises(UsageError, match=r"no lab") as refused:
        find_lab(str(tmp_path))
    assert (refused.value.why, refused.value.hint.split(": ")[1]) == ("the directory has no lab.yaml", str(tmp_path / "lab.yml"))
    assert find_lab(str(tmp_path / "lab.yml")) == tmp_path / "lab.yml"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="cannot be read"):
        load_lab(tmp_path)


def test_a_labs_own_role_is_found_before_the_shipped_one(make_lab: MakeLab) -> None:
    directory = make_lab("").parent
    assert load_role("host", directory).directory == directory / "roles" / "host"
    assert "repeater" in role_names(directory)


def test_shipped_labs_load_in_all_their_variants() -> None:
    for file in shipped_labs():
        for variant in load_lab(file).variants:
            assert load_lab(file, variant=variant).name == file.parent.name


# --- size ------------------------------------------------------------------------------------------------------------------


def test_500_nodes_are_read_in_less_than_two_seconds(load_text: LoadText) -> None:
    nodes = "nodes:\n  pc1..pc468: host\n  sw1..sw32: l2-switch\n"
    links = "links:\n" + "".join(f"  - pc{n + 1}:eth1 -- sw{n // 15 + 1}:port{n % 15 + 1}\n" for n in range(468))
    addresses = "addresses:\n" + "".join(f"  pc{n + 1}: {{eth1: 10.0.{n // 200}.{n % 200 + 1}/16}}\n" for n in range(468))
    begin = time.monotonic()
    lab = load_text(nodes + links + addresses)
    assert time.monotonic() - begin < 2
    assert len(lab.nodes) == 500


def test_the_loader_needs_no_hypervisor_no_wires_and_no_templates() -> None:
    program = "import sys, labctl.lab.load; print(sorted({'jinja2', 'libvirt', 'pyroute2', 'rich', 'typer'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_word_for_a_lab_is_the_one_by_which_it_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = shipped_labs()[0]
    assert find_lab(word_for(shipped)) == shipped
    own = tmp_path / "my-lab" / "lab.yaml"
    own.parent.mkdir()
    own.touch()
    monkeypatch.chdir(tmp_path)
    assert word_for(own) == "my-lab"
    assert find_lab("my-lab") == Path("my-lab/lab.yaml")
