"""A grid of sizes, names and values for every renderer, from the most modest to the most crowded.

Renderers are drawn at points of the grid that cover each of its values, not at every product: one
figure takes a second.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import plot_cases
import test_plots_described as described

from prismflow.figures.plots.confounding import OUTPUT_LABEL, PANELS

LONG = " of a name that goes on for quite a while, and then on"


@dataclass(frozen=True)
class Point:
    """One place of the grid.

    ``scale`` is what every value is multiplied with; with ``outliers`` a third of the models is
    far worse than the others.
    """

    signals: int = 3
    cells: int = 2
    models: int = 4
    seeds: int = 2
    scale: float = 1.0
    long: bool = False
    outliers: bool = False

    @property
    def name(self) -> str:
        """How the test of this point is called."""
        text = f"{self.signals}signals-{self.cells}cells-{self.models}models-{self.seeds}seeds"
        text += "-long" * self.long + "-outliers" * self.outliers
        return f"{text}-x{self.scale:g}"


POINTS = (
    Point(1, 1, 1, 1),
    Point(2, 2, 4, 5, -1e5, outliers=True),
    Point(3, 3, 13, 2, 1.0, True, outliers=True),
    Point(4, 4, 4, 1, 1e9, True),
    Point(8, 6, 7, 5, 1e-6),
)


def _cells(point: Point) -> tuple[str, ...]:
    return tuple(f"cell{'_of_a_long_name' * point.long}{i}" for i in range(point.cells))


def _models(point: Point) -> list[str]:
    last = ["prism", "gbm", "caduceus_signals"]
    others = [name for name in plot_cases.ALL_MODELS if name not in last]
    return (last + others)[: point.models]


def _signals(point: Point) -> list[str]:
    return [f"signal{'_with_a_long_name' * point.long}{i}" for i in range(point.signals)]


def _metrics(point: Point, models: Any, scenarios: tuple[str, ...] = ("full",)) -> pd.DataFrame:
    table = plot_cases.metrics(models, _cells(point), range(1, point.seeds + 1), scenarios)
    error = table["metric"].isin(("mse", "mae"))
    table.loc[error, "value"] *= abs(point.scale)
    table.loc[~error, "value"] *= np.sign(point.scale)
    if point.outliers:
        worse = table["model"].isin(list(models)[: len(models) // 3])
        table.loc[worse & error, "value"] *= 20
        table.loc[worse & ~error, "value"] *= 0.1
    return table


def _folds(point: Point) -> pd.DataFrame:
    table = _metrics(point, _models(point))
    return pd.concat([table, table.assign(fold="fold2", value=table["value"] * 1.1)])


def _points(models: list[str]) -> list[dict[str, Any]]:
    return [{"base": models[0], "model": m, "scenario": "full", "x": x + 1}
            for x, m in enumerate(models)]  # fmt: skip


def _scenarios(point: Point) -> dict[str, Any]:
    removed = {f"without_{name}": {"remove": [name], "how": "mean"} for name in _signals(point)}
    return {"full": {}, **removed}


def _subsets(point: Point) -> dict[str, list[str]]:
    names = _signals(point)
    return {f"prism_n{i + 1}": names[: i + 1] for i in range(len(names))} | {"caduceus": []}


def _histories(point: Point) -> pd.DataFrame:
    seeds = range(1, point.seeds + 1)
    table = plot_cases.histories(_models(point), _cells(point), seeds)
    table[["train_loss", "valid_mse"]] *= abs(point.scale)
    return table


def _predictions(point: Point) -> pd.DataFrame:
    seeds = range(1, point.seeds + 1)
    table = plot_cases.predictions(_models(point), _cells(point), seeds, 20)
    table[["observed", "predicted"]] *= point.scale
    return table


def _weights(point: Point) -> dict[str, Any]:
    contexts = {f"prism_n{n}": n for n in range(1, min(point.models, 8) + 1)}
    cells = _cells(point)
    frames = plot_cases.gene_signals(cells, 20)[["cell", "gene_id"]]
    generator = np.random.default_rng(0)
    frames = frames.assign(
        **{name: generator.random(len(frames)) * point.scale for name in _signals(point)}
    )
    seeds = range(1, point.seeds + 1)
    return {"context_weights": plot_cases.weights(contexts, cells, seeds, 20),
            "gene_signals": frames}  # fmt: skip


def _contacts(point: Point) -> pd.DataFrame:
    one = described.counts(30).query("cell == 'simA'")
    return pd.concat([one.assign(cell=cell) for cell in _cells(point)], ignore_index=True)


def _crispr(point: Point) -> dict[str, pd.DataFrame]:
    tables = described.crispr_tables()
    name = "a_benchmark_of_many_words" if point.long else "own"
    return {
        kind: pd.concat(
            [table.assign(cell=cell, benchmark=name) for cell in _cells(point)], ignore_index=True
        )
        for kind, table in tables.items()
    }


def _costs(point: Point) -> pd.DataFrame:
    row = described.costs().iloc[-1].to_dict()
    factor = abs(point.scale)
    rows = [{**row, "model": name, "flops_training": row["flops_training"] * factor * (i + 1),
             "flops_prediction": row["flops_prediction"] * factor,
             "step_memory_mib": row["step_memory_mib"] * factor}
            for i, name in enumerate(_models(point))]  # fmt: skip
    return pd.DataFrame(rows)


def _loci(point: Point) -> dict[str, pd.DataFrame]:
    generator = np.random.default_rng(1)
    genes = ["ENSG00000080561.14", "ENSG00000080562.3"]
    keys = list(itertools.product(_cells(point), genes))
    shown = [{"cell": cell, "gene_id": gene, "chrom": "chrX", "tss": 107_000_000, "strand": "-",
              "observed": 0.6 * point.scale, "difference": np.nan}
             for cell, gene in keys]  # fmt: skip
    tracks = [pd.DataFrame({"cell": cell, "gene_id": gene, "modality": name,
                            "position_bp": np.arange(-995, 1000, 50.0),
                            "value": generator.random(40) * abs(point.scale)})
              for (cell, gene), name in itertools.product(keys, _signals(point))]  # fmt: skip
    predicted = [{"cell": cell, "gene_id": gene, "model": model, "seed": seed,
                  "predicted": generator.normal(1, 0.4) * point.scale}
                 for (cell, gene), model, seed in itertools.product(
                     keys, _models(point), range(1, point.seeds + 1))]  # fmt: skip
    return {"genes": pd.DataFrame(shown), "tracks": pd.concat(tracks),
            "predictions": pd.DataFrame(predicted)}  # fmt: skip


def _settings(point: Point) -> dict[str, Any]:
    names = _signals(point)
    found = described.model_settings(n_contexts=point.models)
    for settings in found.values():
        settings |= {"modalities": names, "transforms": dict.fromkeys(names, "log10p1")}
    return found


def _confounding(point: Point) -> dict[str, pd.DataFrame]:
    ways = itertools.product((0.7, 0.0), (0.7, 0.0, -0.7), _models(point), OUTPUT_LABEL, PANELS)
    rows = [{"training": training, "test": test, "model": model, "output": output,
             "measure": measure, "mean": 0.3 * point.scale, "low": 0.2 * point.scale,
             "high": 0.4 * point.scale, "n_worlds": point.seeds, "n_genes": 200}
            for training, test, model, output, measure in ways]  # fmt: skip
    summary = pd.DataFrame(rows)
    contrasts = summary[summary["measure"] == "mse"].rename(columns={"mean": "difference"})
    return {"summary": summary[summary["measure"] != "difference"], "contrasts": contrasts}


def _transfer(point: Point) -> pd.DataFrame:
    point = replace(point, cells=max(2, point.cells))
    cells = _cells(point)
    table = _metrics(point, _models(point), ("full", *(f"on_{cell}" for cell in cells)))
    return table[table["scenario"] != "on_" + table["cell"]]


def _cross_cell(point: Point) -> pd.DataFrame:
    cells = _cells(replace(point, cells=max(2, point.cells)))
    sources = [("own", ""), ("elsewhere", 0), ("elsewhere", 1)]
    size = 0.3 * abs(point.scale)
    known = {"n_seeds": point.seeds, "n_genes": 100, "low": 0.2 * size, "high": 2 * size}
    rows = [{"part": "difference", "cell": a, "other_cell": b, "source": source,
             "from_cell": (a, b)[place] if place != "" else "", "model": model, "metric": metric,
             "value": size, **known}
            for (a, b), (source, place), model, metric in itertools.product(
                itertools.combinations(cells, 2), sources, _models(point),
                ("pearson", "mse"))]  # fmt: skip
    rows += [{**row, "source": "equal", "model": "", "from_cell": "", "value": 1.5 * size}
             for row in rows if row["source"] == "own"]  # fmt: skip
    rows += [{"part": "level", "cell": a, "other_cell": "", "source": "observed", "from_cell": b,
              "model": "", "metric": metric, "value": size, **known}
             for (a, b), metric in itertools.product(
                 itertools.permutations(cells, 2), ("pearson", "mse"))]  # fmt: skip
    return pd.DataFrame(rows)


def _strata(point: Point) -> pd.DataFrame:
    size = 0.3 * abs(point.scale)
    bounds = {"low": 0.8 * size, "high": 1.2 * size}
    classes = [("all", "all"), ("expression", "silent"), ("expression", "expressed")]
    classes += [(f"signal {name}", f"{n} quarter") for name in _signals(point)
                for n in ("lowest", "second")]  # fmt: skip
    shown = [("stratum", grouping, name, "mse", size) for grouping, name in classes]
    shown += [("calibration", "predicted", f"tenth {i}", metric, i * size)
              for i in range(1, 11) for metric in ("predicted", "observed")]  # fmt: skip
    shown += [("calibration", "predicted", "all", "slope", 0.9)]
    ways = ["one model", "strands averaged"] + ["seeds averaged"] * (point.seeds > 1)
    shown += [("averaging", "averaging", way, "mse", size) for way in ways]
    rows = [{"part": part, "cell": cell, "model": model, "grouping": grouping, "class": name,
             "metric": metric, "value": value, **bounds, "n_seeds": point.seeds, "n_genes": 100,
             **dict.fromkeys(("gain", "gain_low", "gain_high"),
                             -0.1 * size if part == "averaging" and name != "one model" else None)}
            for cell, model, (part, grouping, name, metric, value) in itertools.product(
                _cells(point), _models(point), shown)]  # fmt: skip
    return pd.DataFrame(rows).astype({"gain": float, "gain_low": float, "gain_high": float})


Case = Callable[[Point], tuple[dict[str, Any], dict[str, Any]]]
CASES: dict[str, Case] = {
    "main": lambda p: ({"metrics": _metrics(p, _models(p))}, {}),
    "folds": lambda p: ({"metrics": _folds(p)}, {"models": _models(p)}),
    "comparison": lambda p: (
        {"metrics": _metrics(p, _models(p), ("full", "backdoor"))},
        {"models": _models(p), "scenarios": ["full", "backdoor"]}),
    "sweep": lambda p: (
        {"metrics": _metrics(p, list(dict.fromkeys([*_models(p), "cnn"])))},
        {"points": _points([m for m in _models(p) if m != "cnn"]), "models": [*_models(p), "cnn"],
         "x_label": "Number of contexts n"}),
    "input_length": lambda p: ({"metrics": _metrics(p, plot_cases.LENGTHS)},
                               {"models": list(plot_cases.LENGTHS)}),
    "signal_contribution": lambda p: (
        {"metrics": _metrics(p, _subsets(p))}, {"subsets": _subsets(p)}),
    "signal_removal": lambda p: (
        {"metrics": _metrics(p, _models(p), tuple(_scenarios(p)))},
        {"models": _models(p), "scenarios": _scenarios(p)}),
    "transfer": lambda p: (
        {"metrics": _transfer(p), "cross_cell": _cross_cell(p)}, {"models": _models(p)}),
    "cell_specificity": lambda p: ({"cross_cell": _cross_cell(p)}, {"models": _models(p)}),
    "strata": lambda p: ({"strata": _strata(p)}, {"models": _models(p)}),
    "training_curves": lambda p: ({"histories": _histories(p)}, {"models": _models(p)}),
    "observed_vs_predicted": lambda p: (
        {"predictions": _predictions(p)}, {"models": _models(p), "bootstrap_resamples": 10}),
    "confounder_weights": lambda p: (_weights(p), {}),
    "reach": lambda p: ({"reach": described.reach_table(_models(p), _cells(p), p.seeds)}, {}),
    "crispri": lambda p: ({"crispri": _crispr(p)}, {}),
    "hic_range": lambda p: ({"contact_range": _contacts(p)}, {}),
    "parameters": lambda p: ({"costs": _costs(p)}, {"models": _models(p)}),
    "locus": lambda p: ({"loci": _loci(p)}, {"models": _models(p)}),
    "scm": lambda p: ({"model_settings": _settings(p)}, {}),
    "architecture": lambda p: ({"model_settings": _settings(p)}, {}),
    "confounding": lambda p: ({"confounding": _confounding(p)}, {}),
}  # fmt: skip


def context_of(point: Point) -> dict[str, Any]:
    """What the figures of a point are told of the dataset."""
    labels = {name: f"{name}{LONG}" for name in _models(point)} if point.long else {}
    signals = {name: name.replace("_", " ") for name in _signals(point)}
    target = "log10(counts per million reads in TSS ± 192 bp + 0.1)" if point.long else "log10(x)"
    return {
        **plot_cases.CONTEXT,
        "cells": list(_cells(point)),
        "model_labels": labels,
        "modality_labels": signals,
        "target_label": target,
        "model_lengths": plot_cases.LENGTHS,
        "simulated": point.cells % 2 == 0,
    }
