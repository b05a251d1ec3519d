"""What to do when a cluster refuses a job: one sentence for each of Slurm's usual reasons."""

from __future__ import annotations

import re

REASONS: tuple[tuple[str, str, str], ...] = (
    ("invalid partition specified: (\\S+?)'?$", "there is no partition {0}", "slurm_partition"),
    ("Invalid generic resource", "there is no GPU of the kind that it asks for", "gres"),
    (
        "Requested node configuration is not available",
        "no node of the partition has the GPU, CPUs, memory or features that it asks for",
        "slurm_partition, gres, mem_mb or constraint",
    ),
    ("Invalid feature", "no node has the features that it asks for", "constraint"),
    (
        "Invalid account or account/partition",
        "the account does not exist or may not use the partition",
        "slurm_account or slurm_partition",
    ),
    ("time limit is invalid", "the partition does not allow so long a time", "runtime"),
    ("Invalid qos", "there is no such quality of service", "slurm-qos"),
)
"""Pattern in sbatch's message, what it means, and the key of the profile to correct."""


def refusals(log: str) -> list[str]:
    """Sentences for the jobs that Slurm did not accept.

    Args:
        log: what a session of Snakemake has written.

    Returns:
        One sentence per rule and reason, in the order of the log; none where all were accepted.
    """
    found: dict[str, None] = {}
    for block in log.split("SLURM sbatch failed.")[1:]:
        message, _, call = block.partition("sbatch call:")
        comment = re.search(r"--comment '?rule_([\w-]+?)(?:_wildcards|'? )", call)
        name = comment[1] if comment else "A job"
        for pattern, reason, key in REASONS:
            hit = re.search(pattern, message, re.MULTILINE)
            if hit is not None:
                sentence = (
                    f"{name} was refused by this cluster: {reason.format(*hit.groups())}; correct "
                    f'{key} in slurm/config.yaml (sinfo -o "%P %l %G %f" lists what there is).'
                )
                found[sentence] = None
    return list(found)
