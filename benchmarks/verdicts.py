"""How often the rules of config/claims.yaml err where a claim is true, and where it is false.

    python benchmarks/verdicts.py [--worlds 400] [--processes 2]

Written down before any run. For every claim four worlds, as mean squared errors of the arms that it
compares: true, true at its edge (every test at its bound, where a contradiction is likeliest),
false at its edge (one test in one cell at its bound and all else clearly on the claimed side, where
support is likeliest), and false. In both edges the claim counts as undecided truth: neither verdict
may come often. Three designs of 1,167 genes in two cells:

    quiet, 5 seeds   sd over seeds 1.6 % of the MSE, of a gene's difference of two arms 0.5 MSE
    noisy, 5 seeds   2.6 %, 1.0 MSE
    noisy, 3 seeds   the fewest that give a verdict

Claims over simulated worlds have worlds in the place of seeds (5, 5 and 3), each with
77 independent test genes of its own and one cell; a world's four errors share its genome's level.

A gene's residuals are normal times a scale of its own (its kurtosis that of Student's t with 8
degrees of freedom), correlated over arms and seeds. Verdicts come from the code that judges real
runs, with 500 resamples of the genes in the place of 2,000 (standard errors then vary by 3 %).
**The bound:** in every world and design the rate of a false verdict must lie below 10 % with 95 %
confidence (Clopper-Pearson, one-sided). A rule that fails is replaced.

Writes config/verdict_errors.tsv and the table in docs/statistics.md.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from prismflow.evaluation.claim_lines import line_over_worlds
from prismflow.evaluation.claims import claim_verdict, judge_arms
from prismflow.evaluation.tested import Arm, Tested
from prismflow.files import read_tsv, write_text, write_tsv
from prismflow.settings.claims import read_claims
from prismflow.statistics.paired import Replicates, gene_weights
from prismflow.statistics.verdicts import CONTRADICTED, SUPPORTED

ROOT = Path(__file__).resolve().parents[1]
N_GENES = 1167
N_RESAMPLES = 500
GENES_OF_A_WORLD = 77
"""Background domains among the 308 test genes of docs/confounding.md."""
WORLD_SD = 0.15
"""Of the level of all errors of a world, which pairing takes out."""
CELLS = ("A", "B")
BOUND = 0.10
SHARED_BY_SEEDS = 0.5
TAIL_DF = 8
START, END = "<!-- rates: written by benchmarks/verdicts.py -->", "<!-- end of the rates -->"
LENGTHS = (500, 2000, 10_000, 50_000, 200_000)
EXCHANGE = "beyond_10000bp_all_both_exchange"
VARIED = ("caduceus", "caduceus_signals", "seq2exp_soft", "prism")
MSE = dict[tuple[str, str], float]
"""Mean squared error by model and scenario (in simulated worlds: by model and test kappa)."""


class Design(NamedTuple):
    """Seeds, sd of the MSE over seeds, sd of a gene's difference; both in MSE."""

    name: str
    n_seeds: int
    seed_sd: float
    gene_sd: float


DESIGNS = (
    Design("quiet, 5 seeds", 5, 0.016, 0.5),
    Design("noisy, 5 seeds", 5, 0.026, 1.0),
    Design("noisy, 3 seeds", 3, 0.026, 1.0),
)
TRUE, TRUE_EDGE, FALSE_EDGE, FALSE = "true", "true at its edge", "false at its edge", "false"


def full(**errors: float) -> MSE:
    return {(model, "full"): error for model, error in errors.items()}


def signals(h: float, d: float, c: float, without: float = 1.0, whole: float = 0.7) -> MSE:
    """Caduceus without signals, with all, with H3K27ac (h), DNase (d) or Hi-C (c) alone."""
    s = "caduceus_signals_2kb"
    return full(**{"caduceus_2kb": without, s: whole, f"{s}_h3k27ac": h, f"{s}_dnase": d,
                   f"{s}_hic": c})  # fmt: skip


def means(h: float, d: float, c: float) -> MSE:
    """Caduceus with signals, one of them set to its mean at test."""
    named = {"h3k27ac": h, "dnase": d, "hic": c}
    return {("caduceus_signals_2kb", f"without_{n}_mean"): error for n, error in named.items()}


def never(h: float, d: float, c: float) -> MSE:
    """Caduceus never trained with one of them."""
    s = "caduceus_signals_2kb"
    return full(**{f"{s}_dnase_hic": h, f"{s}_h3k27ac_hic": d, f"{s}_h3k27ac_dnase": c})


def lengths(change: Mapping[tuple[str, int], float], otherwise: float) -> MSE:
    """Windows longer than 2 kb have the error ``otherwise``, but for those in ``change``."""
    return {
        (f"{model}_{bp}bp", "full"): change.get((model, bp), 1.0 if bp <= 2000 else otherwise)
        for model in VARIED
        for bp in LENGTHS
    }


def broken(gone: tuple[float, float, float], turned: tuple[float, float, float]) -> MSE:
    """Errors of n = 0, of n = 0 on H3K27ac alone and adjusted, by kappa of the test genes."""
    models = ("prism_n0", "prism_n0_h3k27ac", "prism_regional")
    kappas = {"0": gone, "-0.8": turned}
    return {(m, k): e for k, own in kappas.items() for m, e in zip(models, own, strict=True)}


def exchanged(errors: float, **apart: float) -> MSE:
    """Models as trained (1.0), and with what lies beyond 10 kb exchanged between genes."""
    found = full(**dict.fromkeys(VARIED, 1.0))
    return found | {(model, EXCHANGE): apart.get(model, errors) for model in VARIED}


def best(model: float, others: float, one: float | None, names: list[str]) -> MSE:
    """Prism, others, and one of them apart."""
    found = dict.fromkeys(names, others) | {"prism": model}
    return full(**(found | ({names[0]: one} if one is not None else {})))


def worlds(content: Mapping[str, Any], margin: float) -> dict[str, dict[str, tuple[MSE, MSE]]]:
    """claim -> world -> errors in cell A and in cell B."""
    table = content["claims"]["prism_best"]["tests"][0]["against"]
    simple = [n for n in content["claims"]["prism_beats_simple"]["tests"][0]["against"]]
    some_help = ("caduceus_signals", 10_000)
    bound = margin * 0.75
    clear = signals(0.72, 0.9, 0.95) | means(1.2, 0.8, 0.75)
    overused = means(0.85, 0.95, 0.95) | never(0.82, 0.75, 0.75)
    cases: dict[str, dict[str, tuple[MSE, MSE] | MSE]] = {
        "long_inputs": {
            TRUE: lengths({}, 1.0),
            TRUE_EDGE: lengths({}, 1 - margin),
            FALSE_EDGE: (lengths({some_help: 1 - margin}, 1.2), lengths({}, 1.2)),
            FALSE: lengths({some_help: 0.85}, 1.05),
        },
        "proximal_signals": {
            TRUE: full(caduceus_2kb=1.0, caduceus_signals_2kb=0.8),
            TRUE_EDGE: full(caduceus_2kb=1.0, caduceus_signals_2kb=1 - margin),
            FALSE_EDGE: (
                full(caduceus_2kb=1.0, caduceus_signals_2kb=1 - margin),
                full(caduceus_2kb=1.0, caduceus_signals_2kb=0.6),
            ),
            FALSE: full(caduceus_2kb=1.0, caduceus_signals_2kb=1.1),
        },
        "h3k27ac_most": {
            TRUE: clear,
            TRUE_EDGE: signals(0.85, 0.85, 0.85) | means(1.0, 1.0, 1.0),
            FALSE_EDGE: (signals(0.85, 1.2, 1.2) | means(2.0, 0.8, 0.8), clear),
            FALSE: signals(0.95, 0.75, 0.95) | means(0.8, 1.2, 0.75),
        },
        "background_little": {
            TRUE: signals(0.7, 0.9, 0.9),
            TRUE_EDGE: signals(0.7 / (1 - margin), 0.9, 0.9),
            FALSE_EDGE: (signals(0.7 / (1 - margin), 0.9, 0.9), signals(0.6, 0.9, 0.9)),
            FALSE: signals(0.85, 0.9, 0.9),
        },
        "background_overused": {
            TRUE: overused,
            TRUE_EDGE: means(0.75, 0.75 + bound, 0.75 + bound) | never(0.75, 0.75, 0.75),
            FALSE_EDGE: (means(0.55, 0.75 + bound, 1.1) | never(0.75, 0.75, 0.75), overused),
            FALSE: means(1.15, 0.8, 0.75) | never(0.75, 0.75, 0.75),
        },
        "prism_best": {
            TRUE: best(0.85, 1.0, None, table),
            TRUE_EDGE: best(1.0, 1.0, None, table),
            FALSE_EDGE: (best(1.0, 1.3, 1.0, table), best(1.0, 1.3, None, table)),
            FALSE: best(1.0, 1.0, 0.85, table),
        },
        "prism_beats_simple": {
            TRUE: best(0.85, 1.0, None, simple),
            TRUE_EDGE: best(1.0, 1.0, None, simple),
            FALSE_EDGE: (best(1.0, 1.3, 1.0, simple), best(1.0, 1.3, None, simple)),
            FALSE: best(1.0, 1.0, 0.85, simple),
        },
        "adjustment_helps": {
            TRUE: broken((1.0, 1.0, 0.7), (1.2, 1.0, 0.7)),
            TRUE_EDGE: broken((1.0, 1 - margin, 1 - margin), (1.0, 1 - margin, 1 - margin)),
            FALSE_EDGE: broken((1.0, 0.7, 0.7), (1.2, 1.2, 0.7)),
            FALSE: broken((1.0, 0.7, 1.1), (1.2, 0.7, 1.1)),
        },
        "distal_used": {
            TRUE: exchanged(1.0, caduceus_signals=1.2),
            TRUE_EDGE: exchanged(1 + margin),
            FALSE_EDGE: (exchanged(1 + margin), exchanged(1.2)),
            FALSE: exchanged(1.0),
        },
    }  # fmt: skip
    shared = {"background_overused": full(caduceus_signals_2kb=0.7)}
    return {
        claim: {
            name: tuple(  # type: ignore[misc]  # two cells
                shared.get(claim, {}) | cell
                for cell in (errors if isinstance(errors, tuple) else (errors, errors))
            )
            for name, errors in named.items()
        }
        for claim, named in cases.items()
    }


def correlation(gene_sd: float) -> float:
    """Of two arms' residuals, so that squared errors of a gene differ with this sd (MSE 1)."""
    fourth = (TAIL_DF - 2) / (TAIL_DF - 4)
    return math.sqrt(1 - gene_sd**2 / (4 * fourth))


def simulate(
    errors: MSE, design: Design, cell: str, weights: np.ndarray, generator: np.random.Generator
) -> dict[Arm, Tested]:
    """Arms of a cell with their squared errors resampled over genes."""
    arms, n = list(errors), design.n_seeds
    shape = (len(arms), n, N_GENES)
    scale = np.sqrt((TAIL_DF - 2) / generator.chisquare(TAIL_DF, N_GENES))
    rho = correlation(design.gene_sd)
    own = math.sqrt(SHARED_BY_SEEDS) * generator.standard_normal((len(arms), 1, N_GENES))
    own = own + math.sqrt(1 - SHARED_BY_SEEDS) * generator.standard_normal(shape)
    residual = math.sqrt(rho) * generator.standard_normal(N_GENES) + math.sqrt(1 - rho) * own
    level = np.array([errors[arm] for arm in arms])[:, None]
    mse = level * (1 + design.seed_sd * generator.standard_normal((len(arms), n)))
    squared = (mse[..., None] * (scale * residual) ** 2).astype(np.float32)
    flat = squared.reshape(-1, N_GENES)
    values = flat.mean(axis=1, dtype=float).reshape(len(arms), n)
    resampled = (weights @ flat.T).reshape(len(weights), len(arms), n)
    seeds = tuple(range(n))
    even = np.full(N_GENES, 1 / N_GENES)
    return {
        (cell, model, scenario): Tested(
            seeds, ("f",), (0,),
            {"mse": Replicates(values[i], resampled[:, i], N_GENES)}, squared[i], even,
        )
        for i, (model, scenario) in enumerate(arms)
    }  # fmt: skip


def verdicts(
    claim: str,
    content: Mapping[str, Any],
    cells: tuple[MSE, MSE],
    design: Design,
    n: int,
    seed: int,
) -> Iterator[str]:
    """Verdict of each of n studies of one world."""
    entry = content["claims"][claim]
    if entry["tests"][0]["kind"] == "worlds":
        yield from verdicts_over_worlds(entry, content, cells[0], design, n, seed)
        return
    weights = gene_weights(N_GENES, N_RESAMPLES, [0, 0])
    context = {"model_lengths": {"prism": 2000}}
    points = [
        {"base": model, "model": f"{model}_{bp}bp", "x": bp} for model in VARIED for bp in LENGTHS
    ]
    generator = np.random.default_rng([seed, N_GENES])
    for _ in range(n):
        arms: dict[Arm, Tested] = {}
        for cell, errors in zip(CELLS, cells, strict=True):
            arms |= simulate(errors, design, cell, weights, generator)
        lines = [
            line
            for test in entry["tests"]
            for line in judge_arms(test, content, arms, CELLS, points, context)
        ]
        yield claim_verdict(entry["require"], lines, float(content["level"]))


def verdicts_over_worlds(
    entry: Mapping[str, Any],
    content: Mapping[str, Any],
    errors: MSE,
    design: Design,
    n: int,
    seed: int,
) -> Iterator[str]:
    """The same of a claim whose samples are simulated worlds."""
    generator = np.random.default_rng([seed, GENES_OF_A_WORLD])
    first = int(entry["tests"][0]["first_world"])
    outputs = {
        model: term.get("output") or "direct"
        for test in entry["tests"]
        for term in test["terms"]
        for model in term["models"]
    }
    for _ in range(n):
        rows = []
        for world in range(first, first + design.n_seeds):
            level = 1 + WORLD_SD * generator.standard_normal()
            for (model, kappa), error in world_errors(errors, design, generator).items():
                rows.append((0.8, float(kappa), world, model, outputs[model], level * error))
        names = ["training", "test", "replicate", "model", "output", "value"]
        table = pd.DataFrame(rows, columns=names)
        table = table.assign(measure="mse", n_genes=GENES_OF_A_WORLD)
        lines = [line_over_worlds(test, content, table) for test in entry["tests"]]
        yield claim_verdict(entry["require"], lines, float(content["level"]))


def world_errors(errors: MSE, design: Design, generator: np.random.Generator) -> MSE:
    """Errors of one world from genes' residuals, as :func:`simulate` draws them for one seed.

    A trained model is the same at every kappa, and so are its genes: residuals are shared.
    """
    models = list(dict.fromkeys(model for model, _ in errors))
    shape = (len(models), GENES_OF_A_WORLD)
    scale = np.sqrt((TAIL_DF - 2) / generator.chisquare(TAIL_DF, GENES_OF_A_WORLD))
    rho = correlation(design.gene_sd)
    common = math.sqrt(rho) * generator.standard_normal(GENES_OF_A_WORLD)
    residual = common + math.sqrt(1 - rho) * generator.standard_normal(shape)
    of_seed = 1 + design.seed_sd * generator.standard_normal(len(models))
    factor = dict(zip(models, of_seed * ((scale * residual) ** 2).mean(axis=1), strict=True))
    return {(model, kappa): error * factor[model] for (model, kappa), error in errors.items()}


def rates(job: tuple[str, str, Design, int, int]) -> dict[str, Any]:
    """How often each verdict came in a world, and whether false ones are rare enough."""
    claim, world, design, n, seed = job
    content = read_claims(ROOT / "config" / "claims.yaml")
    cells = worlds(content, float(content["margin"]))[claim][world]
    found = list(verdicts(claim, content, cells, design, n, seed))
    counts = {name: found.count(name) for name in (SUPPORTED, CONTRADICTED)}
    wrong = n_false(world, counts)
    return {
        "claim_id": claim, "claim": content["claims"][claim]["claim"], "world": world,
        "design": design.name, "worlds": n, "supported": counts[SUPPORTED] / n,
        "contradicted": counts[CONTRADICTED] / n, "false": wrong / n,
        "false_below": upper(wrong, n),
    }  # fmt: skip


def n_false(world: str, counts: Mapping[str, int]) -> int:
    """False verdicts: at an edge nothing can be known, so both kinds are."""
    supported = 0 if world == TRUE else counts[SUPPORTED]
    return supported + (0 if world == FALSE else counts[CONTRADICTED])


def upper(wrong: int, n: int, confidence: float = 0.95) -> float:
    """Clopper-Pearson's one-sided upper bound of a rate."""
    return 1.0 if wrong == n else float(stats.beta.ppf(confidence, wrong + 1, n - wrong))


def markdown(table: pd.DataFrame) -> str:
    """A line per claim and world, designs beside each other."""
    designs = list(dict.fromkeys(table["design"]))
    lines = [
        "| claim | world | " + " | ".join(designs) + " | false verdicts below |",
        "|---" * (len(designs) + 3) + "|",
    ]
    for (_, world), rows in table.groupby(["claim_id", "world"], sort=False):
        shown = [
            f"{100 * row.supported:.1f} / {100 * row.contradicted:.1f}" for row in rows.itertuples()
        ]
        limit = f"{100 * rows['false_below'].max():.1f}"
        lines.append(
            f"| {rows['claim'].iloc[0]} | {world} | " + " | ".join(shown) + f" | {limit} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Simulate every world in every design, and write both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=400)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--claims", nargs="+", help="only these; the others' rates are kept")
    chosen = parser.parse_args()
    content = read_claims(ROOT / "config" / "claims.yaml")
    jobs = [
        (claim, world, design)
        for claim, named in worlds(content, float(content["margin"])).items()
        for world in named
        for design in DESIGNS
    ]
    wanted = chosen.claims or list(content["claims"])
    path = ROOT / "config" / "verdict_errors.tsv"
    with multiprocessing.Pool(chosen.processes) as pool:
        numbered = [(*job, chosen.worlds, i) for i, job in enumerate(jobs) if job[0] in wanted]
        table = pd.DataFrame(list(pool.imap(rates, numbered)))
    if chosen.claims:
        kept = read_tsv(path, dtype={"world": str})
        others = kept[~kept["claim_id"].isin(wanted)]
        table = pd.concat([others, table], ignore_index=True)
        places = table["claim_id"].map(list(content["claims"]).index)
        table = table.loc[places.sort_values(kind="stable").index].reset_index(drop=True)
    write_tsv(table, path)
    page = ROOT / "docs" / "statistics.md"
    before, rest = page.read_text().split(START)
    after = rest.split(END)[1]
    write_text(f"{before}{START}\n\n{markdown(table)}\n\n{END}{after}", page)
    failed = table[table["false_below"] >= BOUND]
    print(markdown(table))
    print(f"{len(failed)} of {len(table)} above the bound of {100 * BOUND:g} %")
    raise SystemExit(bool(len(failed)))


if __name__ == "__main__":
    main()
