# After a failure: what to correct in the profile, where a cluster refused jobs.
import sys
from pathlib import Path

from prismflow.refusals import refusals


onerror:
    for sentence in refusals(Path(log).read_text(errors="replace")):
        print(sentence, file=sys.stderr)
