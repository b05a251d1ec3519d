"""What to do when a cluster refuses a job: sbatch's own words and one sentence of ours, always."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

_LIST = '(sinfo -o "%P %l %G %f" lists what there is)'
REASONS: tuple[tuple[str, str, str], ...] = (
    ("invalid partition specified: (\\S+?)'?$", "there is no partition {0}", "slurm_partition"),
    ("Invalid partition name", "there is no such partition", "slurm_partition"),
    ("No partition specified or system default", "it has no default partition", "slurm_partition"),
    ("partition.* (is )?not available|Required partition", "the partition is closed",
     "slurm_partition"),
    ("Invalid generic resource|Invalid GRES|Invalid Trackable RESource",
     "there is no GPU of the kind that it asks for", "gres"),
    (
        "Requested node configuration is not available",
        "no node of the partition has the GPU, CPUs, memory or features that it asks for",
        "slurm_partition, gres, mem_mb or constraint",
    ),
    ("Memory specification can not be satisfied|memory required by task",
     "no node has as much memory as it asks for", "mem_mb"),
    ("CPU count (per node|specification) (can ?not be satisfied|invalid)|More processors requested",
     "no node has as many CPUs as it asks for", "cpus_per_task or run.train_threads"),
    ("Node count specification invalid", "it asks for more nodes than it may have", "nodes"),
    ("Invalid feature", "no node has the features that it asks for", "constraint"),
    (
        "Invalid account or account/partition",
        "the account does not exist or may not use the partition",
        "slurm_account or slurm_partition",
    ),
    ("[Aa]ccount.*(not specified|required)|[Uu]se -A|specify an account|No account",
     "it wants to know which account is charged", "slurm_account"),
    ("(User|account).*not permitted to use|Access/permission denied|not permitted",
     "you may not use the partition, account or quality of service",
     "slurm_account, slurm_partition or slurm-qos"),
    ("Job violates accounting/QOS policy|AssocMax|QOSMax|AssocGrp|QOSGrp",
     "a limit of your account or quality of service would be passed",
     "jobs, mem_mb, runtime or slurm-qos"),
    ("time limit (is )?invalid|exceeds.*time limit|(time|Time) limit.*exceed",
     "the partition does not allow so long a time", "runtime"),
    ("(Time|time) limit.*(not specified|required)", "it wants a time limit", "runtime"),
    ("Invalid (qos|QOS)", "there is no such quality of service", "slurm-qos"),
    ("Invalid constraint|Invalid reservation|reservation.*invalid",
     "there is no such reservation or constraint", "slurm_extra or constraint"),
    ("(unrecognized|unknown|invalid) option|[Ii]nvalid argument|Invalid --",
     "its sbatch does not know an option", "slurm_extra"),
)  # fmt: skip
"""Pattern in sbatch's message, what it means, and the key of the profile to correct."""

PASSING: tuple[tuple[str, str], ...] = (
    ("Socket timed out|Unable to contact slurm controller|Connection refused|temporarily unable|"
     "Zero Bytes were transmitted|Slurm temporarily|Unexpected message received",
     "its controller did not answer; start again in some minutes, what is done stays"),
    ("Transport endpoint|Protocol authentication error|Munge|credential",
     "this machine could not prove who you are to it; start on a login node, or ask its "
     "administrators about munge"),
    ("maximum job count|too many jobs|MaxSubmitJobs|QOSMaxSubmitJob|AssocMaxSubmitJob|"
     "limit on number of jobs",
     "too many of your jobs wait already; lower jobs in slurm/config.yaml"),
    ("command not found|No such file or directory",
     "sbatch is not on this machine; start on a login node of the cluster"),
    ("[Dd]isk quota|No space left", "a disk is full; free some space and start again"),
)  # fmt: skip
"""Pattern in sbatch's message, and a whole sentence, where no key of the profile is to blame."""


def refusals(log: str) -> list[str]:
    """Sentences for the jobs that Slurm did not accept.

    Args:
        log: what a session of Snakemake has written.

    Returns:
        One sentence per rule or group and reason with what sbatch said, in the order of the log;
        none where all were accepted.
    """
    found: dict[str, None] = {}
    for block in re.split(r"SLURM (?:sbatch|job submission) failed", log)[1:]:
        # What follows the message is the call, or the next line of the log.
        message, _, rest = block.partition("sbatch call:")
        said = re.search(
            r"The error message was '?(.*?)'?\.?\s*(?:\Z|\n\n|\n\[|\n\S)", message, re.S
        )
        words = " ".join((said[1] if said else message.partition("\n")[0]).split()).strip(" '.")
        sentence = (
            f"{_name(rest)} was refused by this cluster: {_advice(message)} Slurm said: {words}"
        )
        found[sentence] = None
    return list(found)


def _name(call: str) -> str:
    """Rule or group of a submission."""
    comment = re.search(r"--comment[ =]['\"]?rule_([\w-]+?)(?:_wildcards|['\" ])", call)
    return comment[1] if comment else "A job"


def _advice(message: str) -> str:
    for pattern, sentence in PASSING:
        if re.search(pattern, message):
            return f"{sentence}."
    for pattern, reason, key in REASONS:
        hit = re.search(pattern, message, re.MULTILINE)
        if hit is not None:
            return f"{reason.format(*hit.groups())}; correct {key} in slurm/config.yaml {_LIST}."
    return f"correct what it names in slurm/config.yaml {_LIST}, or ask the cluster's support."


def flags_of(datasets: Iterable[str], results: str | Path = "results") -> list[str]:
    """Flags of the data checks of these datasets, as the last lines of a run give them.

    A summary that is not there or not whole has none: the last lines never fail a session.
    """
    lines = []
    for dataset in datasets:
        path = Path(results) / dataset / "checks" / "summary.json"
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            found = json.loads(path.read_text(encoding="utf-8"))["flags"]
            lines += [f"FLAG {dataset}: {flag}" for flag in found]
    return lines
