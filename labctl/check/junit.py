"""Reports as JUnit XML, the form in which CI services show tests. Pure.

Owns the mapping: a check is a test case, failed is `failure`, error is `error`, an open task is `skipped`; of a self-test, a check that
is not proven is a `failure`. `prove` adds suites of its own for what is no check (a lab that does not come up).
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from labctl.check.proof import CheckProof, SelftestReport
from labctl.check.readable import readable
from labctl.check.verdict import CheckResult, State, VerifyReport

LONGEST_MESSAGE = 2000


@dataclass(frozen=True)
class Case:
    """A test case. `outcome`: passed, failed, error or skipped; `message` in the reader's language."""

    name: str
    outcome: str
    message: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Suite:
    """The cases of one run on one lab. `properties` tell what it ran on."""

    name: str
    cases: tuple[Case, ...]
    properties: tuple[tuple[str, str], ...] = ()

    def count(self, outcome: str) -> int:
        return sum(case.outcome == outcome for case in self.cases)


def render_junit(suites: Sequence[Suite]) -> str:
    """The XML document."""
    root = ET.Element("testsuites", name="labctl")
    for suite in suites:
        root.append(_suite(suite))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def verify_suite(report: VerifyReport, language: str = "en") -> Suite:
    cases = tuple(_check_case(one, language) for one in report.checks)
    return Suite(_name(report.lab, report.variant, "verify"), cases, (("accelerator", report.accelerator),))


def selftest_suite(report: SelftestReport, language: str = "en") -> Suite:
    cases = [_proof_case(proof, language) for proof in report.proofs]
    cases += [_again(report.partly, "put back", language), _again(report.wholly, "after a full reset", language)]
    properties = (("accelerator", report.accelerator), ("score", f"{report.score:.3f}"))
    return Suite(_name(report.lab, report.variant, "selftest"), tuple(cases), properties)


def _name(lab: str, variant: str, verb: str) -> str:
    return f"{verb} {lab}" if variant == "default" else f"{verb} {lab} ({variant})"


def _check_case(result: CheckResult, language: str) -> Case:
    outcome = "skipped" if result.open_task else result.in_words
    lines = [] if result.passed else [result.says.in_language(language)]
    if result.do_error:
        lines.append(result.do_error.in_language(language))
    for one in result.observations:
        if not one.verdict.passed:
            expected, seen = one.verdict.expected.in_language(language), one.verdict.seen.in_language(language)
            lines.append(f"{one.state.value}: {expected} | {seen}")
    return Case(result.id, outcome, "\n".join(lines), result.seconds)


def _proof_case(proof: CheckProof, language: str) -> Case:
    problems = [problem.in_language(language) for problem in proof.problems]
    unlooked = proof.baseline is not None and proof.baseline.state is State.ERROR
    outcome = ("error" if unlooked else "failed") if problems else "passed"
    return Case(proof.check.id, outcome, "\n".join(problems), sum(trial.seconds for trial in proof.trials))


def _again(report: VerifyReport, name: str, language: str) -> Case:
    cases = [_check_case(one, language) for one in report.checks if not one.passed and not one.open_task]
    outcome = {State.PASSED: "passed", State.FAILED: "failed", State.ERROR: "error"}[report.state]
    return Case(f"all checks, {name}", outcome, "\n".join(f"{case.name}: {case.message}" for case in cases), report.seconds)


def _suite(suite: Suite) -> ET.Element:
    counts = {"failures": suite.count("failed"), "errors": suite.count("error"), "skipped": suite.count("skipped")}
    seconds = sum(case.seconds for case in suite.cases)
    element = ET.Element("testsuite", name=suite.name, tests=str(len(suite.cases)), time=f"{seconds:.2f}")
    element.attrib.update({name: str(count) for name, count in counts.items()})
    if suite.properties:
        properties = ET.SubElement(element, "properties")
        for name, value in suite.properties:
            ET.SubElement(properties, "property", name=name, value=value)
    for case in suite.cases:
        _case(element, suite.name, case)
    return element


def _case(suite: ET.Element, classname: str, case: Case) -> None:
    element = ET.SubElement(suite, "testcase", classname=classname, name=case.name, time=f"{case.seconds:.2f}")
    tag = {"failed": "failure", "error": "error", "skipped": "skipped"}.get(case.outcome)
    if tag is None:
        return
    message = readable(case.message, LONGEST_MESSAGE)
    inner = ET.SubElement(element, tag, message="open task" if tag == "skipped" else message.partition("\n")[0])
    inner.text = message
