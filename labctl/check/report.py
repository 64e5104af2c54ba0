"""Reports as data for other programs. Owns the shapes; every text is `{"en": …, "ja": …}`. Pure.

verify: {"lab", "title", "variant", "accelerator", "state": passed|failed|error, "seconds",
         "count": {"passed", "failed", "error", "open"},
         "checks": [{"id", "says", "proves": [id], "task", "hint" or null, "state": passed|failed|error|open, "error" or null, "seconds",
                     "observations": [{"says", "witness", "state", "expected", "seen"}]}]}
selftest: {"lab", "title", "variant", "accelerator", "proven", "score": 0…1, "killed", "provable", "effective", "sabotages", "seconds",
           "problems": [text],
           "checks": [{"id", "task", "problems": [text],
                       "observations": [{"says", "witness", "killed_by": [number of sabotage]}],
                       "sabotages": [{"number", "says", "states": [passed|failed|error], "kills": [observation, from 1], "all_red",
                                      "reason", "put_back_by", "passes_again", "problems": [text], "seconds"}]}],
           "put_back": verify, "reset": verify}
"""

from typing import Any

from labctl.check.proof import CheckProof, SelftestReport, Trial
from labctl.check.verdict import CheckResult, VerifyReport
from labctl.check.wording import says_of
from labctl.lab.model import Text

Json = dict[str, Any]
WORDS = ("passed", "failed", "error", "open")


def verify_json(report: VerifyReport) -> Json:
    return {
        "lab": report.lab,
        "title": text_json(report.title),
        "variant": report.variant,
        "accelerator": report.accelerator,
        "state": report.state.value,
        "seconds": round(report.seconds, 2),
        "count": {word: report.count(word) for word in WORDS},
        "checks": [check_json(one) for one in report.checks],
    }


def check_json(result: CheckResult) -> Json:
    return {
        "id": result.id,
        "says": text_json(result.says),
        "proves": list(result.proves),
        "task": result.task,
        "hint": text_json(result.hint) if result.hint else None,
        "state": result.in_words,
        "error": text_json(result.do_error) if result.do_error else None,
        "seconds": round(result.seconds, 2),
        "observations": [
            {
                "says": text_json(one.says),
                "witness": one.witness,
                "state": one.state.value,
                "expected": text_json(one.verdict.expected),
                "seen": text_json(one.verdict.seen),
            }
            for one in result.observations
        ],
    }


def selftest_json(report: SelftestReport) -> Json:
    return {
        "lab": report.lab,
        "title": text_json(report.title),
        "variant": report.variant,
        "accelerator": report.accelerator,
        "proven": report.proven,
        "score": report.score,
        "killed": report.killed,
        "provable": report.provable,
        "effective": report.effective,
        "sabotages": report.sabotages,
        "seconds": round(report.seconds, 2),
        "problems": [text_json(problem) for problem in report.problems],
        "checks": [_proof_json(proof) for proof in report.proofs],
        "put_back": verify_json(report.partly),
        "reset": verify_json(report.wholly),
    }


def text_json(text: Text) -> Json:
    return {"en": text.en, "ja": text.in_language("ja")}


def _proof_json(proof: CheckProof) -> Json:
    observations = [
        {
            "says": text_json(says_of(one)),
            "witness": one.witness,
            "killed_by": [trial.number for trial in proof.trials if position in trial.kills],
        }
        for position, one in enumerate(proof.check.see)
    ]
    return {
        "id": proof.check.id,
        "task": proof.check.task,
        "problems": [text_json(problem) for problem in proof.problems],
        "observations": observations,
        "sabotages": [_trial_json(trial) for trial in proof.trials],
    }


def _trial_json(trial: Trial) -> Json:
    return {
        "number": trial.number,
        "says": text_json(trial.says),
        "states": [one.state.value for one in trial.result.observations] if trial.result else [],
        "kills": [position + 1 for position in trial.kills],
        "all_red": trial.all_red,
        "reason": trial.reason,
        "put_back_by": text_json(trial.put_back_by),
        "passes_again": None if trial.again is None else trial.again.passed,
        "problems": [text_json(problem) for problem in trial.problems],
        "seconds": round(trial.seconds, 2),
    }
