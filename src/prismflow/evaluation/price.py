"""What the planned experiments will cost: runs to do, hours and storage, before they are started.

Times come from benchmark files of finished runs of the same model, else from the measured step of
``costs/{model}.json``, else from shipped defaults; every estimate says which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.errors import InputError
from prismflow.files import read_json, read_tsv

MEASURED, STEP, DEFAULT = "measured", "measured step", "default"
EVALUATION_SHARE = 0.05
"""Testing as a share of training, where no test was measured; more scenarios take more."""
RUN_MB = 5.0
"""Files of a run, where none is there to be weighed."""
REFERENCE_SIZE = 128 * 4
"""Width times layers that the shipped defaults are for."""
COLUMNS = (
    "experiment", "runs", "done", "to_do", "only_here", "gpu_hours", "cpu_hours", "storage_gb",
    "estimated_from",
)  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """Hours and storage of one run.

    Attributes:
        hours: of training and testing.
        gpu: whether they are hours of a GPU.
        storage_mb: files that stay.
        source: what the hours come from.
        done: whether the run's results are there; then nothing is left to pay.
    """

    hours: float
    gpu: bool
    storage_mb: float
    source: str
    done: bool


def estimate_runs(
    dataset: str,
    runs: Sequence[Mapping[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    defaults: pd.DataFrame,
    device: str,
    root: Path,
    benchmarks: Path,
) -> dict[tuple[str, str, str], Estimate]:
    """An estimate for every run, by (cell, model, run).

    Args:
        dataset: name of the dataset.
        runs: cell, model, run and n_scenarios of every run.
        models: architecture, window_bp, branches, size, steps and batch of every model; ``adopted``
            for released checkpoints, which are not trained.
        defaults: columns of config/costs.tsv.
        device: ``cpu``, or ``cuda`` where networks will run on a GPU.
        root, benchmarks: folders of results and of benchmark files.

    Raises:
        InputError: the defaults lack an architecture.
    """
    found: dict[tuple[str, str, str], Estimate] = {}
    hours: dict[str, tuple[float, bool, str]] = {}
    for run in runs:
        model = run["model"]
        if model not in hours:
            hours[model] = _hours(dataset, model, models[model], defaults, device, root, benchmarks)
        folder = root / dataset / run["cell"] / model / run["run"]
        files = [folder / name for name in ("model.json", "metrics.tsv")]
        done = all(file.is_file() for file in files)
        size = _folder_mb(folder) if done else RUN_MB
        found[run["cell"], model, run["run"]] = Estimate(
            *hours[model][:2], size, hours[model][2], done
        )
    return found


def _hours(
    dataset: str,
    model: str,
    settings: Mapping[str, Any],
    defaults: pd.DataFrame,
    device: str,
    root: Path,
    benchmarks: Path,
) -> tuple[float, bool, str]:
    """Hours of a run of a model, whether on a GPU, and the source of the number."""
    measured = [
        _seconds(benchmarks.glob(f"{dataset}/*/{model}/*/{stage}*.tsv"))
        for stage in ("train", "evaluate")
    ]
    if measured[0] is not None:
        testing = measured[1] if measured[1] is not None else EVALUATION_SHARE * measured[0]
        return (measured[0] + testing) / 3600, _was_on_gpu(dataset, model, root), MEASURED
    cost = root / dataset / "costs" / f"{model}.json"
    if cost.is_file():
        record = read_json(cost)
        if record.get("trained_by_steps"):
            seconds = record["step_seconds"] * settings["steps"] * (1 + EVALUATION_SHARE)
            return seconds / 3600, not str(record["device"]).startswith("cpu"), STEP
    tabular = settings["steps"] is None
    chosen = "cpu" if tabular else device
    row = defaults[
        (defaults["architecture"] == settings["architecture"]) & (defaults["device"] == chosen)
    ]
    if row.empty:
        raise InputError(
            f"config/costs.tsv: expected a line for {settings['architecture']} on {chosen}, found "
            "none; add one."
        )
    step, per_mb = float(row["step_s"].iloc[0]), float(row["base_s_per_mb"].iloc[0])
    if tabular:
        return step / 3600, False, DEFAULT
    megabases = settings["batch"] * settings["branches"] * settings["window_bp"] / 1e6
    size = settings["size"] / REFERENCE_SIZE
    training = (
        0.0 if settings["adopted"] else settings["steps"] * (step + per_mb * megabases * size)
    )
    testing = EVALUATION_SHARE * settings["steps"] * (step + per_mb * megabases * size)
    return (training + testing) / 3600, chosen == "cuda", DEFAULT


def _seconds(files: Iterable[Path]) -> float | None:
    """Mean wall time of benchmark files; None without any."""
    values = [float(read_tsv(file)["s"].mean()) for file in sorted(files)]
    return sum(values) / len(values) if values else None


def _was_on_gpu(dataset: str, model: str, root: Path) -> bool:
    records = sorted(root.glob(f"{dataset}/*/{model}/*/model.json"))
    return bool(records) and not str(read_json(records[0]).get("device", "cpu")).startswith("cpu")


def _folder_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def plan_table(
    experiments: Mapping[str, Sequence[tuple[str, str, str]]],
    estimates: Mapping[tuple[str, str, str], Estimate],
) -> pd.DataFrame:
    """One row per experiment, then ``all`` in which shared runs count once.

    ``to_do`` and the hours are what the experiment alone would leave to do; ``only_here`` is how
    many of these runs no other experiment needs.
    """
    needed: dict[tuple[str, str, str], int] = {}
    for keys in experiments.values():
        for key in set(keys):
            needed[key] = needed.get(key, 0) + 1
    rows = [
        _row(name, list(dict.fromkeys(keys)), estimates, needed)
        for name, keys in experiments.items()
    ]
    rows.append(_row("all", list(needed), estimates, dict.fromkeys(needed, 1)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(
    name: str,
    keys: Sequence[tuple[str, str, str]],
    estimates: Mapping[tuple[str, str, str], Estimate],
    needed: Mapping[tuple[str, str, str], int],
) -> dict[str, Any]:
    left = [key for key in keys if not estimates[key].done]
    sources = sorted({estimates[key].source for key in left})
    return {
        "experiment": name,
        "runs": len(keys),
        "done": len(keys) - len(left),
        "to_do": len(left),
        "only_here": sum(needed[key] == 1 for key in left),
        "gpu_hours": round(sum(estimates[k].hours for k in left if estimates[k].gpu), 3),
        "cpu_hours": round(sum(estimates[k].hours for k in left if not estimates[k].gpu), 3),
        "storage_gb": round(sum(estimates[key].storage_mb for key in left) / 1000, 3),
        "estimated_from": " and ".join(sources) or "nothing left to do",
    }


def store_table(stores: Sequence[Mapping[str, Any]], root: Path) -> pd.DataFrame:
    """Size of every store: measured where it is there, else genes x window x bytes per base."""
    rows = []
    for store in stores:
        folder = root / store["dataset"] / store["cell"] / "store"
        done = (folder / "store.json").is_file()
        size = _folder_mb(folder) if done else store["expected_mb"]
        rows.append((store["cell"], done, round(size / 1000, 3), MEASURED if done else DEFAULT))
    return pd.DataFrame(rows, columns=["cell", "done", "size_gb", "estimated_from"])


def plan_lines(
    dataset: str, title: str, table: pd.DataFrame, stores: pd.DataFrame, device: str
) -> list[str]:
    """The plan as Markdown, by lines."""
    lines = [
        f"# Plan of {dataset}: {title}",
        "",
        "Runs that several experiments need are trained once; the line `all` counts them once. "
        "Hours and storage are of what is left to do. `only here`: runs that no other experiment "
        "needs. `default`: config/costs.tsv, not measured here; `measured`: mean wall time of "
        "finished runs of the same model; `measured step`: seconds of one step times the number of "
        "steps. Networks without a measurement are priced for "
        f"{'a GPU' if device == 'cuda' else 'a CPU'}.",
        "",
        *_rows(table.rename(columns=lambda name: name.replace("_", " "))),
        "",
        "Stores (inputs of all models of a cell; downloads come on top):",
        "",
        *_rows(stores.rename(columns=lambda name: name.replace("_", " "))),
    ]
    return lines


def _rows(table: pd.DataFrame) -> list[str]:
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    for row in table.itertuples(index=False):
        shown = [f"{v:,.2f}" if isinstance(v, float) else str(v) for v in row]
        lines.append("| " + " | ".join(shown) + " |")
    return lines
