"""Candidates and stress tests of docs/confounding.md that are no models of the workflow.

    python benchmarks/adjustment.py candidates [--worlds 8]
    python benchmarks/adjustment.py stress [--worlds 4]
    python benchmarks/adjustment.py sequence [--worlds 4]
    python benchmarks/adjustment.py confirmed [--measures FILE]

`candidates`: averaging over the regional level (a1), weighting the worst fifth of levels (c), and
backgrounds of donors (d), boosting on binned signals. `stress`: gradient boosting with the regional
background removed where the simulated world or the naming is less kind. `sequence`: networks where
C also changes what the motifs do. These print Markdown tables of mean squared errors at test kappa
0.8, 0 and -0.8, mean over worlds, trained at kappa 0.8. `confirmed`: the adapted predictions
against both references, from the measures that config/confounding_confirmed.yaml ends in.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy import stats
from snakemake.utils import update_config

from prismflow.data.inputs import GeneInputs
from prismflow.data.store import Store
from prismflow.evaluation.worlds import run_world, simulate_genome
from prismflow.files import read_tsv
from prismflow.models.regional import fit_removal
from prismflow.models.tabular import GradientBoosting, GradientBoostingSettings
from prismflow.plan.runs import make_plan
from prismflow.plan.worlds import Worlds
from prismflow.settings import config as configuration
from prismflow.statistics.permutation import holm
from prismflow.statistics.seeds import t_interval

FILES = ["config/config.yaml", "config/demo.yaml", "config/confounding.yaml"]
KAPPAS = (0.8, 0.0, -0.8)
MODELS = ("gbm", "gbm_h3k27ac", "gbm_regional")
STRESS: dict[str, dict[str, Any]] = {
    "as on the page": {},
    "no tie in training (kappa 0)": {"training": 0.0},
    "poor proxy: level of 1.5 to 50 kb, r(z, C) = 0.76": {"regional_bp": [1500, 50_000]},
    "wrong naming: H3K27ac as background, DNase as anchor": {
        "hyperparameters": {"anchor": "dnase", "background": "h3k27ac"}
    },
    "400 genes": {"simulate": {"n_genes": 400}},
    "4,000 genes": {"simulate": {"n_genes": 4000}},
    "background effect 0.5": {"simulate": {"background_effect": 0.5}},
    "background effect 2": {"simulate": {"background_effect": 2.0}},
    "signal noise 0.6": {"simulate": {"signal_noise": 0.6}},
}
SEQUENCE: dict[str, dict[str, Any]] = {
    f"motifs carry 60 %, tau = {tau:g}": {
        "simulate": {"sequence_share": 0.6, "sequence_background": tau},
        "models": ("prism_n0", "prism_n0_h3k27ac", "prism_regional"),
    }
    for tau in (0.0, 1.0)
}


def world_settings(world: int, case: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of the rule `train_in_world` for one world and case."""
    raw: dict[str, Any] = {}
    for file in FILES:
        update_config(raw, yaml.safe_load(Path(file).read_text()))
    training = case.get("training", 0.8)
    experiment = raw["experiment_overrides"]["confounding"]
    experiment["models"] = list(case.get("models", MODELS))
    experiment["options"]["grid"] = [{"training": training, "replicates": [world]}]
    experiment["options"]["simulate"] |= case.get("simulate", {})
    level = case.get("regional_bp", [1500, 10_000])
    experiment["options"]["regional_bp"] = dict.fromkeys(("dnase", "h3k27ac"), level)
    raw["model_overrides"]["gbm_regional"] = {
        "window_bp": 300,
        "hyperparameters": case.get("hyperparameters", {}),
    }
    merged, sources = configuration.with_shipped(raw, FILES, FILES[0])
    plan = make_plan(configuration.load(merged, sources, Path.cwd()))
    name = f"train{training:g}_replicate{world}".replace("-", "m").replace(".", "p")
    found = Worlds(plan).settings(SimpleNamespace(dataset="demo", world=name))
    return copy.deepcopy(found)


def stress(worlds: int, cases: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """MSE per case, model, output and test kappa."""
    rows = []
    # All cases of a world before the next one, so that what was stopped is still a comparison.
    for world in range(1, worlds + 1):
        for case, changes in cases.items():
            with tempfile.TemporaryDirectory() as temporary:
                names = ("predictions", "truth", "contexts", "runs")
                paths = {name: Path(temporary) / f"{name}.tsv" for name in names}
                run_world(world_settings(world, changes), paths, device="cpu", threads=1)
                table = read_tsv(paths["predictions"])
            full = table[table["perturbation"] == "full"]
            for key, own in full.groupby(["model", "output", "test"]):
                error = float(((own["predicted"] - own["observed"]) ** 2).mean())
                rows.append((case, *key, error))
                print(f"{case}, world {world}: {key} {error:.4f}", flush=True)
    return pd.DataFrame(rows, columns=["case", "model", "output", "test", "mse"])


def arrays(store: Path, splits: Path) -> dict[str, dict[str, np.ndarray]]:
    """Columns of all genes by role: signals, contacts, features, level, labels."""
    opened = Store.open(store)
    roles = read_tsv(splits, dtype=str)["fold11"].to_numpy()
    features = [n for n in opened.manifest["gene_features"] if not n.endswith("_regional")]
    inputs = GeneInputs(opened, ("h3k27ac",), {"h3k27ac": "log1p"}, tuple(features), 300)
    contacts = GeneInputs(opened, ("hic",), {"hic": "log10p1"}, (), 300)
    raw = GeneInputs(opened, ("dnase",), {"dnase": "raw"}, ("dnase_regional",), 300)
    rows = np.arange(opened.n_genes)
    design = GradientBoosting.design
    settings = GradientBoostingSettings()
    z = raw.features(rows)[:, 0].astype(float)
    anchor = GeneInputs(opened, ("h3k27ac",), {"h3k27ac": "log1p"}, (), 300)
    whole = {
        "z": z,
        "other": design(inputs, rows, settings),
        "contacts": design(contacts, rows, settings),
        "anchor": design(anchor, rows, settings)[:, -1],
        "dnase": np.log(design(raw, rows, settings)[:, 1:] + 0.1 * np.exp(z)[:, None]),
        "label": inputs.labels(rows).astype(float),
    }
    return {
        role: {name: values[roles == role] for name, values in whole.items()}
        for role in ("train", "valid", "test")
    }


def boosted(x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> Any:
    """A fitted boosting of the workflow's sizes."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    settings = vars(GradientBoostingSettings()).copy()
    del settings["bin_bp"]
    return HistGradientBoostingRegressor(**settings, random_state=0).fit(x, y, weights)


def averaged(train: dict[str, np.ndarray]) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """a1: z as one more input, and predictions averaged over z of the training genes."""
    train = {**train, "contacts": train["contacts"][:, :0]}
    model = boosted(_columns(train, train["z"]), train["label"])
    levels = np.quantile(train["z"], (np.arange(20) + 0.5) / 20)

    def predict(test: dict[str, np.ndarray]) -> np.ndarray:
        test = {**test, "contacts": test["contacts"][:, :0]}
        fixed = [model.predict(_columns(test, np.full(len(test["z"]), z))) for z in levels]
        return np.mean(fixed, axis=0)

    return predict


def worst_group(train: dict[str, np.ndarray]) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """c: fifths of z as groups, each weighted by the exponential of its cross-fitted error."""
    x, y = _columns(train), train["label"]
    group = np.searchsorted(np.quantile(train["z"], [0.2, 0.4, 0.6, 0.8]), train["z"])
    half = np.arange(len(y)) * 2 // len(y)
    share = np.full(5, 0.2)
    for _ in range(5):
        held = np.empty(len(y))
        for part in (0, 1):
            own = half == part
            held[own] = boosted(x[~own], y[~own], share[group][~own]).predict(x[own])
        share *= np.exp(2 * np.array([np.mean((held - y)[group == g] ** 2) for g in range(5)]))
        share /= share.sum()
    model = boosted(x, y, share[group])
    return lambda test: model.predict(_columns(test))


def donors(train: dict[str, np.ndarray]) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """d: six copies of the training genes, each with the background of another gene."""
    z, y = train["z"], train["label"]
    power = fit_removal(train["anchor"], train["dnase"][:, -1], z, y, "two_stage")
    rng, copies = np.random.default_rng(0), []
    for _ in range(6):
        donor = rng.permutation(len(y))
        moved = train["dnase"] + power * (z[donor] - z)[:, None]
        copies.append(_columns({**train, "dnase": moved, "contacts": train["contacts"][donor]}))
    model = boosted(np.concatenate(copies), np.tile(y, 6))
    return lambda test: model.predict(_columns(test))


def _columns(part: dict[str, np.ndarray], *more: np.ndarray) -> np.ndarray:
    return np.column_stack([part["other"], part["contacts"], part["dnase"], *more])


CANDIDATES = {"a1": averaged, "c": worst_group, "d": donors}


def candidates(worlds: int) -> pd.DataFrame:
    """MSE of each candidate per test kappa."""
    rows = []
    for world in range(1, worlds + 1):
        tests = dict(_worlds(world))
        train = tests[KAPPAS[0]]["train"]
        for name, fit in CANDIDATES.items():
            predict = fit(train)
            for kappa, parts in tests.items():
                error = predict(parts["test"]) - parts["test"]["label"]
                rows.append((name, name, "direct", kappa, float(np.mean(error**2))))
        print(f"candidates: world {world}", flush=True)
    return pd.DataFrame(rows, columns=["case", "model", "output", "test", "mse"])


def _worlds(world: int) -> Iterator[tuple[float, dict[str, dict[str, np.ndarray]]]]:
    settings = world_settings(world, {})
    for kappa in KAPPAS:
        with tempfile.TemporaryDirectory() as temporary:
            simulated = {
                **settings["simulate"],
                "confounding": settings["training"],
                "confounding_test": kappa,
            }
            folder = Path(temporary) / "world"
            simulate_genome(
                folder, settings["dataset"], settings["tracks"], simulated, settings["seed"]
            )
            yield kappa, arrays(folder / "store", folder / "splits.tsv")


REFERENCES = {
    "prism_regional": ("prism_n0", "prism_n0_h3k27ac"),
    "gbm_regional": ("gbm", "gbm_h3k27ac"),
}


def confirmed(measures: pd.DataFrame) -> list[str]:
    """Adapted minus each reference, paired by world; Holm's p over a model's six comparisons."""
    mse = measures[measures["measure"] == "mse"]
    wide = mse.pivot(index=["test", "replicate"], columns=["model", "output"], values="value")
    lines = ["| model | test kappa | minus | difference | p (Holm) | better in |",
             "|---|---:|---|---|---:|---:|"]  # fmt: skip
    for model, references in REFERENCES.items():
        rows = []
        for kappa in KAPPAS:
            own = wide.xs(kappa, level="test")
            for reference in references:
                gap = (own[model, "adapted"] - own[reference, "direct"]).to_numpy()
                found = t_interval(gap)
                p = float(stats.ttest_1samp(gap, 0.0).pvalue)
                rows.append((kappa, reference, found, p, int((gap < 0).sum())))
        corrected = holm(np.array([row[3] for row in rows]))
        for (kappa, reference, found, _, better), p in zip(rows, corrected, strict=True):
            lines.append(
                f"| {model} | {kappa:g} | {reference} | {found.mean:+.3f} "
                f"[{found.low:+.3f}, {found.high:+.3f}] | {p:.2g} | {better} of {found.n} |"
            )
    return lines


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("candidates", "stress", "sequence", "confirmed"))
    parser.add_argument(
        "--measures", type=Path, default=Path("results/confirmed/confounding/measures.tsv")
    )
    parser.add_argument("--worlds", type=int, default=4)
    chosen = parser.parse_args()
    if chosen.what == "confirmed":
        print("\n".join(confirmed(read_tsv(chosen.measures))))
        return
    if chosen.what == "candidates":
        table = candidates(chosen.worlds)
    else:
        table = stress(chosen.worlds, STRESS if chosen.what == "stress" else SEQUENCE)
    key = ["case", "model", "output"]
    wide = table.groupby([*key, "test"], sort=False)["mse"].mean().unstack("test")[list(KAPPAS)]
    print("| case | model | output | 0.8 | 0 | -0.8 |\n|---|---|---|---:|---:|---:|")
    for names, values in wide.iterrows():
        print("| " + " | ".join(names) + " | " + " | ".join(f"{v:.3f}" for v in values) + " |")


if __name__ == "__main__":
    main()
