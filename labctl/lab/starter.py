"""A new lab to begin with: `labctl new NAME [--like LAB]`. It validates, comes up, and has one check that is proven.

Owns the text of the first lab and its guides, and how another lab is taken as a pattern: everything of its directory, under a new
name. Nothing is written over.
"""

import re
import shutil
from pathlib import Path

from labctl.errors import UsageError
from labctl.lab.load import LAB_FILE, load_lab
from labctl.lab.tree import Tree
from labctl.lab.values import NAME, WORDS_FOR
from labctl.lab.yaml12 import parse_yaml

LAB = """\
# `labctl validate .` tells what is wrong here, `labctl up .` starts it, `labctl verify .` and `labctl selftest .` prove it.
name: {name}
title: {{en: A lab to begin with, ja: はじめのラボ}}
summary: {{en: Two hosts at a switch reach each other., ja: スイッチにつないだ2台のホストが互いに通信できる。}}
minutes: 15

nodes:                                  # name: role (`labctl schema` and docs/lab-schema.md tell what there is)
  pc1..pc2: host
  sw1: l2-switch

links:
  - pc1:eth1 -- sw1:port1
  - pc2:eth1 -- sw1:port2

addresses:
  pc1: {{eth1: 192.168.1.11/24}}
  pc2: {{eth1: 192.168.1.12/24}}

ready:                                  # the lab is up once this holds
  - reach: pc1 -> 192.168.1.12
    within: 30s

checks:
  - id: hosts-reach-each-other
    says: {{en: pc1 and pc2 reach each other through the switch, ja: pc1 と pc2 はスイッチを通して通信できる}}
    do:                                 # the stimulus; it must succeed
      pc1: ping -c 3 192.168.1.12
    see:                                # what must be seen: three requests and three replies on the wire of pc2
      - wire: pc2:eth1
        filter: icmp
        frames: 6
    sabotage:                           # a check counts only if it fails when the lesson is broken
      - do:
          pc2: ip address del 192.168.1.12/24 dev eth1
        undo:
          pc2: ip address add 192.168.1.12/24 dev eth1
        says: {{en: pc2 has lost its address, ja: pc2 のアドレスが消えた}}
        kills_all: the lab has only this check
"""

GUIDE = """\
# A lab to begin with

Two hosts, pc1 and pc2, are plugged into one switch, sw1.

## Try it

    labctl up {where}
    labctl ssh pc1
    pc1# ping -c 3 192.168.1.12

pc2 answers three times. Look at the switch meanwhile:

    labctl ssh sw1
    sw1# bridge fdb show br br0 dynamic

The switch has learnt at which port each host is.

## Questions

1. Which addresses does the switch know before the first ping?
2. What happens to the ping when you take pc2's address away?

## Prove it

    labctl verify {name}
    labctl selftest {name}
"""

GUIDE_JA = """\
# はじめのラボ

2台のホスト pc1 と pc2 が、1台のスイッチ sw1 につながっています。

## やってみる

    labctl up {where}
    labctl ssh pc1
    pc1# ping -c 3 192.168.1.12

pc2 から3回応答が返ります。その間にスイッチも見てみましょう。

    labctl ssh sw1
    sw1# bridge fdb show br br0 dynamic

どのポートの先にどのホストがいるかを、スイッチが学習しています。

## 考えてみる

1. 最初の ping の前、スイッチはどのアドレスを知っているでしょうか。
2. pc2 のアドレスを消すと、ping はどうなるでしょうか。

## 確かめる

    labctl verify {name}
    labctl selftest {name}
"""


def new_lab_text(name: str, like: Path | None = None) -> str:
    """The text of a new `lab.yaml`: the first lab, or that of the lab file `like`, under the new name."""
    if not re.fullmatch(NAME[1:-1], name):
        raise UsageError(f"no lab can be called `{name}`", why=WORDS_FOR[NAME])
    if like is None:
        return LAB.format(name=name)
    load_lab(like)  # a pattern that is wrong itself is told now
    content = like.read_bytes()
    tree, _ = parse_yaml(content, str(like))
    assert tree is not None
    return _renamed(content.decode("utf-8-sig"), tree, name)


def write_new_lab(directory: Path, name: str, like: Path | None = None) -> Path:
    """Makes `directory` with the lab in it, and gives its lab file. UsageError where something stands there already."""
    text = new_lab_text(name, like)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} is there already", why="a new lab writes over nothing", hint="take another name or directory")
    if like is None:
        _make_directory(directory)
        _write_guides(directory, name)
    else:
        _copy(like, directory, name)
    file = directory / LAB_FILE
    file.write_text(text, encoding="utf-8")
    return file


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"no directory {directory} can be made", why=error.strerror or "", hint="take another directory") from error


def _write_guides(directory: Path, name: str) -> None:
    for file, text in (("guide.md", GUIDE), ("guide.ja.md", GUIDE_JA)):
        (directory / file).write_text(text.format(name=name, where=directory), encoding="utf-8")


def _copy(like: Path, directory: Path, name: str) -> None:
    """Everything beside the pattern, links as links; its guides name the new lab."""
    old, source = load_lab(like).name, like.absolute().parent
    if directory.absolute().is_relative_to(source):
        raise UsageError(f"{directory} lies inside the lab it is made like", hint="take a directory outside of it")
    try:
        shutil.copytree(source, directory, symlinks=True, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise UsageError(f"{source} cannot be copied", why=str(error)) from error
    for guide in directory.glob("guide*.md"):
        text = guide.read_text(encoding="utf-8", errors="surrogateescape")  # in another encoding its bytes stay as they are
        text = re.sub(rf"(labctl [a-z-]+ ){re.escape(old)}(?![a-z0-9-])", rf"\g<1>{name}", text)
        guide.write_text(text, encoding="utf-8", errors="surrogateescape")


def _renamed(text: str, tree: Tree, name: str) -> str:
    """`text` with the value of `name:` replaced where it stands."""
    spot, old = tree.value_spot(("name",)), str(tree.at(("name",)).value)
    lines = text.splitlines(keepends=True)
    before, rest = lines[spot.line - 1][: spot.column - 1], lines[spot.line - 1][spot.column - 1 :]
    lines[spot.line - 1] = before + rest.replace(old, name, 1)
    return "".join(lines)
