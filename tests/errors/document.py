"""docs/errors.md from the sentences that the tests saw."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TOP = """# What the workflow says about wrong input

Every sentence names the file and, where there is one, the line; what was expected and what was
found; and what to do. Planning ends with the sentence, and so does a job: it stands on standard
error after `error:` and in the job's log. There is no traceback for wrong input. This page is made
by the tests (`PRISMFLOW_WRITE_DOCS=1 pytest tests/errors`), which fail when it is out of date. Long
lists of names are shortened to `...` here, and line numbers of the configuration to `N`.

## What can be noticed in which format

The tests damage several hundred copies of each kind of file. No damage crashes a job, hangs it, or
ends in a traceback. A damaged file that is read gives the numbers of the whole one, except where
the format has no checksum and the damage leaves a valid file with other content:

| format | noticed by its own means | not noticed by them |
|---|---|---|
| bigWig (compressed) | cuts, indexes, every data block (each has a checksum), totals | - |
| bigWig (uncompressed) | cuts, indexes, totals beyond 0.1 % | a changed value |
| .hic | cuts, index, contacts (each block has a checksum), an empty chromosome | a norm vector |
| .cool, .mcool | cuts, structure, compressed columns (checksum) | uncompressed columns |
| FASTA | cuts of bgzip, uneven lines, letters that are no bases, lengths | another base |
| gene table, BED, sheets | what this page lists | another plausible value |
| zip, .gz | every member (checksum) | - |
| .ckpt | every member (checksum) | - |
| model.safetensors of this package | every weight (SHA-256 in its header) | - |
| store | every file (SHA-256 in `store.json`) | - |

What the last column names is seen by the file's md5 only: downloads are compared with the md5 and
the size that the portal or `config/references.tsv` gives before they are put in place, and a local
file of `config/tracks.tsv` is compared with the column `md5` of its row, if that is filled in, each
time the track is inspected; the md5 found is written to `results/{dataset}/tracks/{cell}/`.

Files that native libraries read (.hic, .cool, .mcool) are first read by a child process with limits
of time and memory; bigWigs are checked block by block in Python before the library sees them.
"""


def _shortened(sentence: str) -> str:
    """Without what changes with every new model or line of the configuration."""
    sentence = re.sub(r"(config/[\w/]+\.(?:yaml|tsv), line) \d+(?= \()", r"\1 N", sentence)
    sentence = re.sub(r"found [0-9a-f]{32,}", "found ...", sentence)
    names = r"(?:'?[\w./]+'?, ){3}"
    return re.sub(rf"({names})(?:'?[\w./]+'?, )*'?[\w./]+'?", r"\1...", sentence)


def render(rows: Sequence[tuple[str, str, str]]) -> str:
    """The document; rows are group, what is wrong, sentence."""
    lines, last = [_TOP], ""
    for group, wrong, sentence in rows:
        if group != last:
            lines.append(f"\n## {group}\n\n| what is wrong | what the user reads |\n|---|---|\n")
            last = group
        cell = _shortened(sentence).replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| {wrong} | {cell} |\n")
    return "".join(lines)
