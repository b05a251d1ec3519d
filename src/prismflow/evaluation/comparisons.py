"""Every comparison of an experiment: models with their reference, scenarios with the full input.

Each row holds the differences in MSE and Pearson correlation with intervals over seeds and genes, a
permutation test over genes, Holm's correction over the experiment, and what would decide the
difference if these data do not (docs/statistics.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from prismflow.errors import InputError
from prismflow.evaluation.predictions_file import Group, read_gathered
from prismflow.evaluation.tested import Arm, Tested, comparable, effect, error_difference, read_arms
from prismflow.files import read_tsv, write_tsv
from prismflow.plan.run import RunKey
from prismflow.statistics.permutation import holm, sign_flip_test
from prismflow.statistics.power import genes_needed, seeds_needed, seeds_needed_apart

FULL = "full"
ALPHA = 0.05
COLUMNS = (
    "family", "cell", "model", "scenario", "reference", "reference_scenario", "n_seeds", "n_genes",
    "mse_model", "mse_reference", "mse_difference", "mse_low", "mse_high",
    "p_permutation", "p_permutation_holm", "p_seeds", "p_seeds_holm",
    "pearson_difference", "pearson_low", "pearson_high", "p_pearson", "p_pearson_holm",
    "decided_by", "seeds_needed", "genes_needed",
    "published_difference", "published_seeds_needed", "published_source",
)  # fmt: skip
Pair = tuple[str, Arm, Arm]
"""Family, arm and the arm that it is compared with."""


def compare_models(request: Mapping[str, Any], gathered: str, published: str, output: str) -> None:
    """Write an experiment's comparisons as TSV.

    Args:
        request: ``experiment``, ``runs`` and ``published_cells``, as the plan words them.
        gathered: the dataset's gathered predictions.
        published: sheet of published values.
        output: the table, columns :data:`COLUMNS`.

    Raises:
        InputError: there is nothing to compare.
    """
    experiment = request["experiment"]
    table = compare(read_gathered(gathered), experiment, request["runs"])
    if table.empty:
        raise InputError(
            f"{experiment['id']}: expected two models with the same test genes and a common seed, "
            "found none; give the experiment's models the same seeds."
        )
    name = str(experiment.get("published_experiment", experiment["id"]))
    cells = request.get("published_cells") or {}
    write_tsv(with_published(table, read_tsv(published), name, cells), output)


def compare(
    groups: Sequence[Group], experiment: Mapping[str, Any], runs: Sequence[Sequence[Any]]
) -> pd.DataFrame:
    """All comparisons of an experiment.

    Args:
        groups: the dataset's gathered predictions.
        experiment: ``id``, ``models``, ``scenarios``, ``references`` {model: reference}.
        runs: cell, model, fold and seed of its runs.

    Returns:
        Columns :data:`COLUMNS`. Family ``reference``: a model and its reference. ``scenario``: a
        scenario and the full input of the same model. ``best_mse`` and ``best_pearson``: the model
        that is best in that metric and every other, which decides what a table prints in bold.
        Differences are the arm minus its reference. Pairs without common genes, labels or seeds
        are left out.
    """
    scenarios = list(dict.fromkeys([FULL, *(experiment.get("scenarios") or [])]))
    arms = read_arms(groups, [RunKey(*run) for run in runs], scenarios)
    pairs = [
        pair
        for pair in _pairs(arms, experiment, scenarios)
        if comparable([arms[pair[1]], arms[pair[2]]])
    ]
    rows = [_row(pair, arms) for pair in pairs]
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if "published" not in name])
    table["p_permutation"] = _permutation(pairs, arms)
    return _decide(table)


def _pairs(
    arms: Mapping[Arm, Tested], experiment: Mapping[str, Any], scenarios: Sequence[str]
) -> list[Pair]:
    models = [str(model) for model in experiment["models"]]
    references = experiment.get("references") or {}
    pairs: list[Pair] = []
    for cell in dict.fromkeys(arm[0] for arm in arms):
        there = [model for model in models if (cell, model, FULL) in arms]
        for model in there:
            against = references.get(model)
            if against in there:
                pairs.append(("reference", (cell, model, FULL), (cell, against, FULL)))
            for scenario in scenarios:
                if scenario != FULL and (cell, model, scenario) in arms:
                    pairs.append(("scenario", (cell, model, scenario), (cell, model, FULL)))
        for metric, sign in (("mse", 1), ("pearson", -1)) if len(there) > 1 and references else ():
            scores = {model: sign * arms[cell, model, FULL].mean(metric) for model in there}
            known = [model for model in there if not math.isnan(scores[model])]
            if known:
                best = min(known, key=lambda model: scores[model])
                pairs += [
                    (f"best_{metric}", (cell, best, FULL), (cell, other, FULL))
                    for other in there
                    if other != best
                ]
    return pairs


def _row(pair: Pair, arms: Mapping[Arm, Tested]) -> dict[str, Any]:
    family, arm, against = pair
    model, reference = arms[arm], arms[against]
    mse = effect([(1.0, model), (-1.0, reference)])
    pearson = effect([(1.0, model), (-1.0, reference)], "pearson")
    single = mse.n_seeds < 2
    return {
        "family": family,
        "cell": arm[0],
        "model": arm[1],
        "scenario": arm[2],
        "reference": against[1],
        "reference_scenario": against[2],
        "n_seeds": mse.n_seeds,
        "n_genes": mse.n_genes,
        "mse_model": effect([(1.0, model), (0.0, reference)]).value,
        "mse_reference": effect([(0.0, model), (1.0, reference)]).value,
        "mse_difference": mse.value,
        "mse_low": mse.low,
        "mse_high": mse.high,
        # One seed says nothing of the spread over seeds: no test that includes it.
        "p_seeds": math.nan if single else mse.p,
        "pearson_difference": pearson.value,
        "pearson_low": pearson.low,
        "pearson_high": pearson.high,
        "p_pearson": math.nan if single else pearson.p,
        "seeds_needed": math.nan
        if single
        else seeds_needed(mse.value, mse.components, mse.n_genes),
        "genes_needed": genes_needed(mse.value, mse.components, mse.n_seeds, mse.n_genes),
    }


def _permutation(pairs: Sequence[Pair], arms: Mapping[Arm, Tested]) -> np.ndarray:
    """Permutation p of every pair; pairs on the same genes share their random swaps."""
    p = np.full(len(pairs), np.nan)
    places: dict[tuple, list[int]] = {}
    for position, (_, arm, _) in enumerate(pairs):
        places.setdefault((arm[0], arms[arm].folds, arms[arm].labels), []).append(position)
    for positions in places.values():
        differences = [error_difference(arms[pairs[i][1]], arms[pairs[i][2]]) for i in positions]
        weights = arms[pairs[positions[0]][1]].gene_weights
        blocks = arms[pairs[positions[0]][1]].blocks
        p[positions] = sign_flip_test(np.stack(differences, axis=1), weights, blocks=blocks)
    return p


def _decide(table: pd.DataFrame) -> pd.DataFrame:
    """Holm's correction, over what is asked (reference and scenario) and over what is bold."""
    asked = np.where(table["family"].isin(["reference", "scenario"]), "asked", table["family"])
    for name in ("p_permutation", "p_seeds", "p_pearson"):
        table[f"{name}_holm"] = np.nan
        for family in dict.fromkeys(asked):
            rows = asked == family
            table.loc[rows, f"{name}_holm"] = holm(table.loc[rows, name])
    genes = table["p_permutation_holm"] < ALPHA
    seeds = table["p_seeds_holm"] < ALPHA
    table["decided_by"] = np.select(
        [genes & seeds, genes & ~seeds, seeds], ["seeds and genes", "genes only", "seeds only"],
        "nothing",
    )  # fmt: skip
    return table


def with_published(
    table: pd.DataFrame, published: pd.DataFrame, experiment: str, cells: Mapping[str, str]
) -> pd.DataFrame:
    """Add the paper's difference in MSE, and the seeds per model that it would need.

    Args:
        table: of :func:`compare`.
        published: the sheet of published values.
        experiment: whose rows of the sheet count.
        cells: cell -> published cell.

    Returns:
        With ``published_difference``, ``published_seeds_needed`` (missing where no sd is known;
        where one of the two is known, it stands for both) and ``published_source``.
    """
    sheet = published[(published["experiment"] == experiment) & (published["metric"] == "mse")]
    known = {(row.cell, row.model): row for row in sheet[sheet["value"].notna()].itertuples()}
    found: list[tuple[float, float, str | None]] = []
    for row in table.itertuples():
        cell = cells.get(row.cell)
        model, reference = known.get((cell, row.model)), known.get((cell, row.reference))
        if row.family != "reference" or model is None or reference is None:
            found.append((np.nan, np.nan, None))
            continue
        spreads = [x for x in (model.sd, reference.sd) if not math.isnan(x)]
        delta = model.value - reference.value
        needed = seeds_needed_apart(delta, spreads[0], spreads[-1]) if spreads else np.nan
        sources = "; ".join(sorted({str(model.source), str(reference.source)}))
        found.append((delta, needed, sources))
    columns = ["published_difference", "published_seeds_needed", "published_source"]
    added = pd.DataFrame(found, columns=columns, index=table.index)
    return pd.concat([table, added], axis=1)[list(COLUMNS)]
