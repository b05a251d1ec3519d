# What Snakemake's session does while it waits; after a failure, what to correct in the profile where a cluster
# refused jobs.
import sys
from pathlib import Path

from prismflow.jobs.patches.group_errors import keep_reasons_of_groups
from prismflow.jobs.patches.waiting import improve_waiting
from prismflow.jobs.refusals import flags_of, refusals

improve_waiting()
keep_reasons_of_groups()


onerror:
    for file in log:  # Snakemake gives a list of its log files
        for sentence in refusals(Path(file).read_text(errors="replace")):
            print(sentence, file=sys.stderr)
    for sentence in flags_of(PLAN.config.datasets):
        print(sentence, file=sys.stderr)


onsuccess:
    for sentence in flags_of(PLAN.config.datasets):
        print(sentence, file=sys.stderr)
