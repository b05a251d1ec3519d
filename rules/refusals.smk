# What Snakemake's session does while it waits; after a failure, what to correct in the profile where a cluster
# refused jobs.
import time
from pathlib import Path

from prismflow.jobs.console import say_last
from prismflow.jobs.last_lines import last_lines
from prismflow.jobs.patches.group_errors import keep_reasons_of_groups
from prismflow.jobs.patches.starts import share_starts
from prismflow.jobs.patches.waiting import improve_waiting
from prismflow.jobs.refusals import refusals
from prismflow.plan.checks import tell_what_was_refused

STARTED = time.time()
improve_waiting()
keep_reasons_of_groups()
share_starts(workflow)


onerror:
    for file in log:  # Snakemake gives a list of its log files
        for sentence in refusals(Path(file).read_text(errors="replace")):
            say_last(sentence)
    for sentence in last_lines(PLAN.config.datasets, STARTED):
        say_last(sentence)
    tell_what_was_refused(workflow, PLAN)


onsuccess:
    for sentence in last_lines(PLAN.config.datasets, STARTED):
        say_last(sentence)
