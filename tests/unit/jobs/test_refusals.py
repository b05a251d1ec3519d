"""Slurm's refusals, as the executor writes them, and the sentences made of them."""

from __future__ import annotations

import pytest

from prismflow.jobs.patches.group_errors import keep_reasons_of_groups
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


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Batch job submission failed: Socket timed out on send/recv operation", "start again"),
        ("Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
         "a limit of your account"),
        ("Batch job submission failed: Memory specification can not be satisfied", "mem_mb"),
        ("No partition specified or system default partition", "slurm_partition"),
        ("You must specify an account with -A", "slurm_account"),
        ("/bin/sh: 1: sbatch: not found, command not found", "login node"),
        ("Batch job submission failed: Something that no version of ours has seen", "support"),
    ],
)  # fmt: skip
def test_every_refusal_has_its_words_and_one_sentence(message: str, words: str) -> None:
    (sentence,) = refusals(LOG.format(message=message, comment="rule_train_wildcards_demo_simA"))
    assert words in sentence
    assert sentence.endswith(f"Slurm said: sbatch: error: {message}")


GROUP_LOG = """\
Error in group prepare: SLURM sbatch failed. The error message was 'sbatch: error: Batch job \
submission failed: Invalid account or account/partition combination specified'.
    sbatch call:
        sbatch --parsable --job-name 64 --export=ALL --comment rule_prepare   -t 2 --mem 100
"""


def test_a_group_is_refused_by_name() -> None:
    (sentence,) = refusals(GROUP_LOG)
    assert sentence.startswith("prepare was refused by this cluster: the account does")
    assert "slurm_account" in sentence
    assert "Invalid account or account/partition combination specified" in sentence


def test_a_group_that_is_refused_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    from snakemake.jobs import GroupJob
    from snakemake.logging import logger

    written: list[str] = []
    monkeypatch.setattr(GroupJob, "log_error", lambda group, msg=None, **further: None)
    monkeypatch.setattr(logger, "error", lambda text, **further: written.append(text))
    keep_reasons_of_groups()
    group = type("Group", (), {"groupid": "prepare"})()
    GroupJob.log_error(group, msg="SLURM sbatch failed. The error message was 'Invalid account'.")
    assert written == [
        "Error in group prepare: SLURM sbatch failed. The error message was 'Invalid account'."
    ]


def test_other_failures_are_left_to_their_logs() -> None:
    assert refusals("Error in rule train:\n    message: SLURM-job '3' failed\n") == []
