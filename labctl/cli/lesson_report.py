"""Reports of `verify` and `selftest` for people, in their language. The first line names the accelerator.

Owns the look of the two: a paragraph for each check, and the matrix sabotage × observation.
"""

from labctl.check.proof import CheckProof, SelftestReport, Trial
from labctl.check.verdict import CheckResult, State, VerifyReport
from labctl.check.wording import says_of
from labctl.cli.reader import Reader, duration, pad
from labctl.lab.model import Text

WORDS = {"passed": ("passed", "合格"), "failed": ("FAILED", "不合格"), "error": ("ERROR", "エラー"), "open": ("open", "未解決")}
COLOURS = {"passed": "green", "failed": "red", "error": "yellow", "open": "blue"}
CELLS = {State.PASSED: "·", State.FAILED: "✘", State.ERROR: "?"}


def print_verify(reader: Reader, report: VerifyReport) -> None:
    """Each check with what was expected and what was seen, then the counts."""
    _first_line(reader, report.accelerator, report.lab, report.title, report.variant)
    for check in report.checks:
        _print_check(reader, check)
    reader.say(_counts(reader, report))


def _counts(reader: Reader, report: VerifyReport) -> str:
    counted = [(report.count(word), WORDS[word]) for word in WORDS if report.count(word)]
    if reader.language == "ja":
        words = "、".join(f"{ja} {count}" for count, (_, ja) in counted) or "なし"
        return f"チェック {len(report.checks)} 件: {words}（{duration(report.seconds)}）"
    words = ", ".join(f"{count} {en.lower()}" for count, (en, _) in counted) or "none"
    return f"{len(report.checks)} checks: {words} ({duration(report.seconds)})"


def _first_line(reader: Reader, accelerator: str, lab: str, title: Text, variant: str) -> None:
    about = "" if variant == "default" else reader.choose(f", variant {variant}", f"、バリアント {variant}")
    reader.say(reader.choose(f"accelerator: {accelerator}", f"アクセラレーター: {accelerator}") + about)
    reader.say(f"{reader.paint(lab, 'bold')}  {title.in_language(reader.language)}\n")


def _print_check(reader: Reader, check: CheckResult) -> None:
    word = reader.paint(reader.choose(*WORDS[check.in_words]), COLOURS[check.in_words])
    kind = reader.choose("task", "課題") + " " if check.task else ""
    reader.say(f"{word}  {kind}{check.id}  {check.says.in_language(reader.language)}")
    if check.do_error is not None:
        reader.say(f"    {reader.paint('?', 'yellow')} {check.do_error.in_language(reader.language)}")
    expected, seen = reader.choose("expected", "期待"), reader.choose("seen", "実際")
    width = max(len(expected), len(seen)) if reader.language == "en" else 4
    for one in check.observations:
        mark = {State.PASSED: ("✔", "green"), State.FAILED: ("✘", "red"), State.ERROR: ("?", "yellow")}[one.state]
        witness = reader.choose(" (witness)", "（証人）") if one.witness else ""
        reader.say(f"    {reader.paint(*mark)} {one.says.in_language(reader.language)}{witness}")
        if one.says != one.verdict.expected:  # an author who wrote no sentence of their own gets what is expected as headline
            reader.say(f"        {pad(expected, width)}  {one.verdict.expected.in_language(reader.language)}")
        reader.say(f"        {pad(seen, width)}  {one.verdict.seen.in_language(reader.language)}")
    if check.hint is not None and not check.passed:
        reader.say(f"    {reader.choose('hint', 'ヒント')}: {check.hint.in_language(reader.language)}")
    reader.say()


def print_selftest(reader: Reader, report: SelftestReport) -> None:
    """A matrix for each check (rows: sabotages, columns: observations), what is not proven, the score."""
    _first_line(reader, report.accelerator, report.lab, report.title, report.variant)
    for proof in report.proofs:
        _print_matrix(reader, proof)
    if report.problems:
        reader.say(reader.choose("Not proven:", "証明できていないこと:"))
        for problem in report.problems:
            reader.say(f"  {reader.paint('✘', 'red')} {problem.in_language(reader.language)}")
        reader.say()
    score = f"{report.score:.0%}"
    reader.say(
        reader.choose(
            f"score {score}: {report.killed} of {report.provable} observations were made to fail, "
            f"{report.effective} of {report.sabotages} sabotages did it ({duration(report.seconds)})",
            f"スコア {score}: 観察 {report.provable} 件のうち {report.killed} 件が破壊で赤になり、"
            f"破壊 {report.sabotages} 件のうち {report.effective} 件が効いた（{duration(report.seconds)}）",
        )
    )


def _print_matrix(reader: Reader, proof: CheckProof) -> None:
    reader.say(f"{reader.paint(proof.check.id, 'bold')}  {proof.check.says.in_language(reader.language)}")
    for position, one in enumerate(proof.check.see, 1):
        witness = reader.choose(" (witness)", "（証人）") if one.witness else ""
        reader.say(f"    [{position}] {says_of(one).in_language(reader.language)}{witness}")
    count = len(proof.check.see)
    reader.say("    " + "  ".join(f"[{position}]" for position in range(1, count + 1)))
    for trial in proof.trials:
        reader.say(f"    {_row(reader, trial, count)}  {trial.number}. {trial.says.in_language(reader.language)}")
    reader.say()


def _row(reader: Reader, trial: Trial, count: int) -> str:
    """✘ made to fail and counted, x failed but not counted, · still holds, ? error, - not tried."""
    if trial.result is None:
        return "  ".join([" - "] * count)
    cells = []
    for position, one in enumerate(trial.result.observations):
        killed = position in trial.kills
        cell = "✘" if killed else ("x" if one.state is State.FAILED else CELLS[one.state])
        cells.append(f" {reader.paint(cell, 'red') if killed else cell} ")
    return "  ".join(cells)
