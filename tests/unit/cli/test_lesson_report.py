"""How verify and selftest look to people, in both languages. Golden files: tests/unit/golden/reports."""

from pathlib import Path

import pytest

from labctl.check.proof import CheckProof, SelftestReport, Trial
from labctl.check.verdict import CheckResult, ObservationResult, State, Verdict, VerifyReport
from labctl.check.wording import both
from labctl.cli.lesson_report import print_selftest, print_verify
from labctl.cli.reader import Reader
from labctl.lab.load import load_lab
from tests.unit.conftest import Golden

REPORTS = Path(__file__).parent.parent / "golden" / "reports"
FLOOD = both("pc3 sees the first frame", "最初のフレームは pc3 にも届く")
HINT = both("Look at the table of sw1.", "sw1 の表を見よう。")


def seen(state: State, *, witness: bool = False) -> ObservationResult:
    verdict = Verdict(state, both("pc3:eth1: exactly 1 frames", "pc3:eth1: フレームがちょうど 1 個"), both("2 frames", "2 個"))
    return ObservationResult(FLOOD, witness, verdict)


def result(id: str, *observations: ObservationResult, **more: object) -> CheckResult:
    return CheckResult(id, FLOOD, observations, more.pop("do_error", None), 1.25, **more)  # type: ignore[arg-type]


def report(*checks: CheckResult, variant: str = "default") -> VerifyReport:
    return VerifyReport("l2-switch", both("A switch learns", "スイッチは学習する"), variant, "tcg", checks, 61.5)


VERIFIED = report(
    result("floods-once", seen(State.PASSED), seen(State.PASSED, witness=True)),
    result("learns", seen(State.FAILED), hint=HINT),
    result("ages", seen(State.ERROR), do_error=both("pc1 does not answer", "pc1 が応答しない")),
    result("find-the-port", seen(State.FAILED), task=True, hint=HINT),
    variant="hub",
)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_verify_shows_what_was_expected_and_seen(language: str, golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    print_verify(Reader(language), VERIFIED)
    golden(REPORTS / f"verify.{language}.txt", capsys.readouterr().out)


@pytest.fixture
def proven(tmp_path: Path) -> SelftestReport:
    """Two observations, the second a witness: the first sabotage kills, the second meets an error, the third was not tried."""
    (tmp_path / "lab.yaml").write_text(LAB)
    check = load_lab(tmp_path / "lab.yaml").checks[0]
    good = result(check.id, seen(State.PASSED), seen(State.PASSED, witness=True))
    killed = result(check.id, seen(State.FAILED), seen(State.PASSED, witness=True))
    error = result(check.id, seen(State.ERROR), seen(State.PASSED, witness=True))
    put_back = both("its inverse", "逆の操作")
    trials = (
        Trial(1, both("cut pc2:eth1", "pc2:eth1 を抜く"), killed, good, put_back),
        Trial(2, both("stop pc2", "pc2 を止める"), error, good, put_back),
        Trial(3, both("lose the agent", "エージェントを失う"), None, None, put_back, trouble=both("no answer", "応答なし")),
    )
    proof = CheckProof(check, good, trials)
    return SelftestReport("pair", both("Two", "二台"), "default", "tcg", (proof,), report(good), report(good), 200.0)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_selftest_prints_the_matrix_and_the_score(
    language: str, proven: SelftestReport, golden: Golden, capsys: pytest.CaptureFixture[str]
) -> None:
    print_selftest(Reader(language), proven)
    golden(REPORTS / f"selftest.{language}.txt", capsys.readouterr().out)


def test_the_first_line_names_the_accelerator(capsys: pytest.CaptureFixture[str]) -> None:
    print_verify(Reader(), VERIFIED)
    assert capsys.readouterr().out.splitlines()[0] == "accelerator: tcg, variant hub"


LAB = """\
name: pair
title: {en: Two, ja: 二台}
nodes: {pc1: host, pc2: host}
links: ["pc1:eth1 -- pc2:eth1"]
addresses:
  pc1: {eth1: 192.168.1.11/24}
  pc2: {eth1: 192.168.1.12/24}
checks:
  - id: they-talk
    says: {en: pc1 reaches pc2, ja: pc1 から pc2 に届く}
    do: {pc1: ping -c 1 192.168.1.12}
    see:
      - {wire: "pc1:eth1", filter: icmp, frames: 2}
      - {wire: "pc1:eth1", filter: arp, frames: {at_least: 1}, witness: true}
    sabotage:
      - {cut: "pc2:eth1"}
      - pc2: ip link set eth1 down
      - pc2: ip address flush dev eth1
"""
