"""Slurm's refusals, as the executor writes them, and the sentences made of them."""

from __future__ import annotations

import pytest

from prismflow.jobs.refusals import refusals

LOG = """\
Error in rule train:
    message: SLURM sbatch failed. The error message was 'sbatch: error: {message}'.
    sbatch call:
        sbatch --parsable --job-name 64 --export=ALL --comment {comment}   -p gpu -t 2 --mem 100
"""


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("invalid partition specified: gpu\nsbatch: error: Batch job submission failed: Invalid "
         "partition name specified", ("no partition gpu;", "slurm_partition")),
        ("Invalid generic resource (gres) specification", ("no GPU", "gres")),
        ("Batch job submission failed: Requested node configuration is not available",
         ("no node", "mem_mb")),
        ("Batch job submission failed: Invalid account or account/partition combination specified",
         ("account", "slurm_account")),
        ("Batch job submission failed: Requested time limit is invalid (missing or exceeds some "
         "limit)", ("time", "runtime")),
    ],
)  # fmt: skip
def test_each_reason_names_what_to_correct(message: str, words: tuple[str, ...]) -> None:
    (sentence,) = refusals(LOG.format(message=message, comment="rule_train_wildcards_demo_simA"))
    assert sentence.startswith("train was refused by this cluster: ")
    assert all(word in sentence for word in words)


def test_the_same_reason_is_given_once_per_rule() -> None:
    message = "Invalid generic resource (gres) specification"
    comments = ("rule_train_wildcards_a", "rule_train_wildcards_b", "rule_evaluate_wildcards_a")
    log = "".join(LOG.format(message=message, comment=comment) for comment in comments)
    assert [sentence.split()[0] for sentence in refusals(log)] == ["train", "evaluate"]


def test_other_failures_are_left_to_their_logs() -> None:
    assert refusals("Error in rule train:\n    message: SLURM-job '3' failed\n") == []
    assert refusals(LOG.format(message="Socket timed out", comment="rule_train")) == []
