"""Snakemake with stubs in place of most scripts: plan, scheduler, executor and records are real.

``python stubbed.py SNAKEMAKE-ARGUMENTS``. Scripts of the rules named in ``STUB_REAL`` (separated by
commas) run as they are. ``STUB_GENES`` sets the genes per run of predictions.
"""

from __future__ import annotations

import functools
import gzip
import os
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from snakemake import cli, workflow

from prismflow.evaluation.metrics_table import METRIC_COLUMNS
from prismflow.statistics.agreement import regression_metrics

REAL = frozenset(os.environ.get("STUB_REAL", "").split(",")) - {""}
GENES = int(os.environ.get("STUB_GENES", "1200"))
#: Where Snakemake's call of a script has the name of the rule and the record for its benchmark.
RULE_ARGUMENT, RECORD_ARGUMENT = 10, 16
#: Results of stubs that look like those of jobs; a figure of other files is a stub, too.
REAL_FILES = frozenset(("metrics.tsv", "predictions.tsv.gz", "predictions.safetensors"))
_original = workflow.script
_LABELS = np.random.default_rng(1).gamma(1.0, 1.0, GENES).round(4)
_HEADER = gzip.compress(b"scenario\tgene_id\tobserved\tpredicted\n", 1, mtime=0)
#: Different predictions of one scenario; packing new ones for every run would be most of the time.
VARIANTS = 64
NAMES = [f"ENSG{number:011d}" for number in range(GENES)]


@functools.cache
def _block(scenario: str, variant: int) -> tuple[bytes, dict[str, float]]:
    """Packed lines of one scenario, and its metrics: labels plus noise."""
    rng = np.random.default_rng(zlib.crc32(f"{scenario} {variant}".encode()))
    predicted = (_LABELS + rng.normal(0, 0.3 + 0.2 * rng.random(), GENES)).round(5)
    lines = zip(NAMES, _LABELS.tolist(), predicted.tolist(), strict=True)
    text = "".join(f"{scenario}\t{name}\t{y:.4f}\t{z:.5f}\n" for name, y, z in lines)
    return gzip.compress(text.encode(), 1, mtime=0), regression_metrics(_LABELS, predicted)


def evaluate(output: Any, params: Any, wildcards: Any) -> None:
    """Write what the rule ``evaluate`` writes: predictions and metrics of a run's scenarios."""
    run = (wildcards.dataset, wildcards.cell, wildcards.model)
    fold, _, seed = wildcards.run.rpartition("_seed")
    variant = zlib.crc32(" ".join((*run, wildcards.run)).encode()) % VARIANTS
    packed, rows = [_HEADER], ["\t".join(METRIC_COLUMNS)]
    for name in sorted(params.scenarios):
        block, found = _block(name, variant)
        packed.append(block)
        rows += [
            "\t".join((*run, fold, seed, name, metric, f"{value:.9g}", str(GENES)))
            for metric, value in found.items()
        ]
    Path(output.predictions).write_bytes(b"".join(packed))
    Path(output.metrics).write_text("\n".join(rows) + "\n")
    Path(output.extras).touch()


def _results(files: Any) -> list[str]:
    made = ("_comparisons.tsv", "/claims.tsv")  # by rules that are real where their readers are
    return [file for file in files if file.startswith("results/") and not file.endswith(made)]


def script(*arguments: Any) -> None:
    """Stands for ``snakemake.script.script``."""
    files, output, params, wildcards = arguments[2:6]
    rule = arguments[RULE_ARGUMENT]
    if rule in REAL and all(Path(file).name in REAL_FILES for file in _results(files)):
        _original(*arguments)
        return
    record = arguments[RECORD_ARGUMENT]
    if record is not None:
        for name in [name for name, value in vars(record).items() if value is None]:
            setattr(record, name, 0.0)
    if rule.startswith("evaluate"):
        evaluate(output, params, wildcards)
        return
    for path in output:
        if Path(path).suffix or Path(path).name.startswith("."):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text("")
        else:
            Path(path).mkdir(parents=True, exist_ok=True)


if __name__ == "__main__":
    workflow.script = script
    cli.main(sys.argv[1:])
