# On a cluster: end soon after Ctrl-C; after a failure, what to correct in the profile where jobs were refused.
import sys
from pathlib import Path

from prismflow.interrupts import end_promptly
from prismflow.refusals import refusals

end_promptly()


onerror:
    for file in log:  # Snakemake gives a list of its log files
        for sentence in refusals(Path(file).read_text(errors="replace")):
            print(sentence, file=sys.stderr)
