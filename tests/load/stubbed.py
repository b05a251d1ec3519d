"""Snakemake with stubs in place of most scripts: plan, scheduler, executor and records are real.

``python stubbed.py SNAKEMAKE-ARGUMENTS``. Scripts of the rules named in ``STUB_REAL`` (separated by
commas) run as they are. ``STUB_GENES`` sets the genes per run of predictions.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from snakemake import cli, workflow

from prismflow.aggregate import METRIC_COLUMNS
from prismflow.metrics import regression_metrics

REAL = frozenset(os.environ.get("STUB_REAL", "").split(",")) - {""}
GENES = int(os.environ.get("STUB_GENES", "40"))
#: Where Snakemake's call of a script has the name of the rule and the record for its benchmark.
RULE_ARGUMENT, RECORD_ARGUMENT = 10, 16
#: Results of stubs that look like those of jobs; a figure of other files is a stub, too.
REAL_FILES = frozenset(("metrics.tsv", "predictions.tsv.gz", "predictions.safetensors"))
_original = workflow.script
_LABELS = np.random.default_rng(1).gamma(1.0, 1.0, GENES).round(4)
_NAMES = [f"ENSG{number:011d}" for number in range(GENES)]


def _predictions(name: str, scenarios: list[str]) -> pd.DataFrame:
    """Labels plus noise; all a function of the names."""
    parts = []
    for scenario in scenarios:
        rng = np.random.default_rng(zlib.crc32(f"{name} {scenario}".encode()))
        noise = rng.normal(0, 0.3 + 0.2 * rng.random(), GENES)
        columns = {"scenario": scenario, "gene_id": _NAMES, "observed": _LABELS}
        parts.append(pd.DataFrame(columns | {"predicted": (_LABELS + noise).round(5)}))
    return pd.concat(parts, ignore_index=True)


def _evaluate(output: Any, params: Any, wildcards: Any) -> None:
    scenarios = json.loads(params.scenarios)
    names = sorted(scenarios)
    run = (wildcards.dataset, wildcards.cell, wildcards.model)
    fold, _, seed = wildcards.run.rpartition("_seed")
    table = _predictions(" ".join((*run, wildcards.run)), names)
    text = table.to_csv(sep="\t", index=False, lineterminator="\n")
    with gzip.open(output.predictions, "wt", compresslevel=1) as out:
        out.write(text)
    rows = []
    for name, own in table.groupby("scenario", sort=False):
        found = regression_metrics(own["observed"].to_numpy(), own["predicted"].to_numpy())
        rows += [(*run, fold, seed, name, metric, value, GENES) for metric, value in found.items()]
    metrics = pd.DataFrame(rows, columns=list(METRIC_COLUMNS))
    metrics.to_csv(output.metrics, sep="\t", index=False, float_format="%.9g")
    Path(output.extras).touch()


def _results(files: Any) -> list[str]:
    return [file for file in files if file.startswith("results/") and "_comparisons" not in file]


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
        _evaluate(output, params, wildcards)
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
