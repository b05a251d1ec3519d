"""One table of all inputs before anything is trained: ok, flag, refused, or not read.

The target `checks` runs the jobs that training needs anyway; one that refuses its input does not
keep the others from running. What each of them said is read from its result and its log. What no
job could read because another input was refused is looked at here, as far as it goes: tracks
against the genome alone where the genes were refused, and the checks of the data over the tracks
that are left.
"""

from __future__ import annotations

import graphlib
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data import steps
from prismflow.data.chromosomes import Genes
from prismflow.data.counts import rows_of
from prismflow.data.genome import read_chrom_sizes
from prismflow.data.tracks import inspect_track
from prismflow.data.windows import read_bed
from prismflow.errors import InputError
from prismflow.evaluation.data_checks import check_data
from prismflow.files import read_json, read_tsv, write_text, write_tsv

OK, FLAG, REFUSED, UNREAD = "ok", "flag", "refused", "not read"
COLUMNS = ("input", "cell", "state", "counts", "file", "said")
_ERROR = " ERROR "
_FOR_INSPECTION = ("resolution_bp", "normalisation")


def job_states(jobs: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """State of every job and what it said.

    Args:
        jobs: name -> ``log``, ``output`` and ``needs`` (names of jobs before it).

    Returns:
        Name -> ``ok``, ``refused`` or ``not read``, and the sentence.
    """
    states: dict[str, tuple[str, str]] = {}
    order = graphlib.TopologicalSorter({name: job["needs"] for name, job in jobs.items()})
    for name in order.static_order():
        job = jobs[name]
        waits = [needed for needed in job["needs"] if states[needed][0] != OK]
        if waits:
            states[name] = UNREAD, f"waits for {', '.join(waits)}"
            continue
        sentence = _refusal(Path(job["log"]))
        if sentence is not None:
            states[name] = REFUSED, sentence
        elif Path(job["output"]).exists():
            states[name] = OK, ""
        else:
            states[name] = UNREAD, f"its job did not end; see {job['log']}"
    return states


def _refusal(log: Path) -> str | None:
    """The sentence with which a job ended; None where it did not end so."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    marked = [number for number, line in enumerate(lines) if _ERROR in line]
    if not marked or any("finished in" in line for line in lines[marked[-1] :]):
        return None
    return lines[marked[-1]].split(_ERROR, 1)[1]


def dataset_table(dataset: Mapping[str, Any]) -> pd.DataFrame:
    """The table of one dataset.

    Args:
        dataset: ``rows`` (input, cell, job, file), ``jobs`` (see :func:`job_states`), ``tracks``
            (cell -> rows of the sheet), ``folder``, ``aliases`` and ``label_transform``.

    Returns:
        :data:`COLUMNS`, one row per input.
    """
    states = job_states(dataset["jobs"])
    flags, partly = _flags(dataset, states)
    counts = _counts(dataset, states)
    first: dict[str, str] = {}
    rows = []
    for entry in dataset["rows"]:
        cell, job = entry.get("cell", ""), entry["job"]
        state, said = states[job]
        if entry["input"] == "blacklist" and state != OK:
            state, said = _blacklist(entry["file"], said)
        elif state == REFUSED and job in first:
            # One file holds genes, labels and splits; which of them was wrong is in the sentence.
            state, said = UNREAD, f"see {first[job]}"
        elif state == UNREAD and job.startswith("inspect "):
            state, said = _alone(dataset, states, entry["input"], cell, said)
        elif state == REFUSED:
            first[job] = entry["input"]
        own = _flags_of(flags, entry["input"], cell)
        if job == "check_data":
            taken = {
                text for other in dataset["rows"] if other is not entry
                for text in _flags_of(flags, other["input"], other.get("cell", ""))
            }  # fmt: skip
            own = [text for text in flags if text not in taken]
            said = f"{said}; {partly}" if said and partly else said
        if own and state != REFUSED:
            state = FLAG if state == OK else state
            said = " ".join([*([said] if said else []), *own])
        rows.append({
            "input": entry["input"], "cell": cell, "state": state,
            "counts": counts.get((entry["input"], cell), ""), "file": entry["file"], "said": said,
        })  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _blacklist(path: str, said: str) -> tuple[str, str]:
    """State of the blacklist where windows could not be placed."""
    if not Path(path).exists():
        return UNREAD, said
    try:
        read_bed(path)
    except InputError as error:
        return REFUSED, str(error)
    return OK, "read by itself"


def _flags_of(flags: Iterable[str], name: str, cell: str) -> list[str]:
    """Flags about one input: of its own, of its cell's label, or of several cells' tracks."""
    starts = {f"{cell} {name}: "} if cell else set()
    if name == "genome":
        starts |= {"sequence: "}
    if name == "labels":
        starts |= {f"{cell}: the label"}
    shared = "label: " if name == "labels" else f"{name}: "
    return [
        text for text in flags
        if text.startswith(tuple(starts) or "\0")
        or (cell and text.startswith(shared) and cell in text)
    ]  # fmt: skip


def _flags(
    dataset: Mapping[str, Any], states: Mapping[str, tuple[str, str]]
) -> tuple[list[str], str]:
    """Flags of the checks, made here over the tracks that are left where their job had to wait."""
    if states["check_data"][0] == OK:
        return read_json(dataset["jobs"]["check_data"]["output"])["flags"], ""
    if states["define_windows"][0] != OK:
        return [], ""
    folder = Path(dataset["folder"])
    left = {
        cell: [track for track in tracks if states[track["job"]][0] == OK]
        for cell, tracks in dataset["tracks"].items()
    }
    done = [cell for cell in left if states[f"store {cell}"][0] == OK]
    with tempfile.TemporaryDirectory() as place:
        outputs = {name: Path(place) / name for name in ("checks", "profiles", "examples")}
        try:
            flags = check_data(
                left,
                {
                    cell: {t["modality"]: dataset["jobs"][t["job"]]["output"] for t in tracks}
                    for cell, tracks in left.items()
                },
                dataset["aliases"], genes=folder / "genes.tsv", dropped=folder / "dropped.tsv",
                sizes=folder / "genome" / "chrom.sizes", shared=folder / "shared_sequence.tsv",
                stores={cell: dataset["jobs"][f"store {cell}"]["output"] for cell in done},
                label_transform=dataset["label_transform"],
                outputs={**outputs, "summary": Path(place) / "summary"},
            )  # fmt: skip
        except InputError as error:
            return [], str(error)
    return flags, "what is left was checked"


def _alone(
    dataset: Mapping[str, Any],
    states: Mapping[str, tuple[str, str]],
    modality: str,
    cell: str,
    said: str,
) -> tuple[str, str]:
    """A track whose job did not run: against the genes, the genome, or nothing.

    Where the genes were refused a gene is put in the middle of every sequence, where the genome
    was refused the file is read without any.
    """
    track = next(t for t in dataset["tracks"][cell] if t["modality"] == modality)
    folder = Path(dataset["folder"])
    if states["define_windows"][0] == OK:
        # On a cluster it is one submission with others, which ended with the first refusal.
        with tempfile.TemporaryDirectory() as place:
            try:
                steps.inspect_track(
                    track, dataset["aliases"], genes=folder / "genes.tsv",
                    sizes=folder / "genome" / "chrom.sizes", summary=Path(place) / "summary.json",
                )  # fmt: skip
            except InputError as error:
                return REFUSED, str(error)
        return OK, f"read by itself, {said}"
    if not Path(track["path"]).exists():
        return UNREAD, said
    sizes = dataset["jobs"]["index_genome"]["output"]
    has_genome = states["index_genome"][0] == OK
    lengths = read_chrom_sizes(sizes, dataset["aliases"]) if has_genome else {}
    middles = np.array([length // 2 for length in lengths.values()], dtype=np.int64)
    genes = Genes(
        np.array(list(lengths), dtype=object), middles, lengths, source=sizes,
        lengths_source=sizes, aliases=dataset["aliases"],
    )  # fmt: skip
    try:
        inspect_track(
            track["path"], track["kind"], genes, modality=modality, md5=track.get("md5", ""),
            absent_chromosomes="missing", **{key: track[key] for key in _FOR_INSPECTION},
        )  # fmt: skip
    except InputError as error:
        return REFUSED, f"{track['where']}: {error}"
    return OK, f"read {'against the genome alone' if has_genome else 'by itself'}, {said}"


def _counts(
    dataset: Mapping[str, Any], states: Mapping[str, tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """What was kept and skipped, as one phrase per input and cell."""
    if states["check_data"][0] == OK:
        table = read_tsv(Path(dataset["folder"]) / "input_summary.tsv", dtype={"cell": str})
        table = table.fillna({"cell": "", "reason": ""})
    else:
        rows: list[dict[str, str | int]] = []
        for cell, tracks in dataset["tracks"].items():
            for track in tracks:
                if states[track["job"]][0] == OK:
                    found = read_json(dataset["jobs"][track["job"]]["output"]).get("counts", [])
                    rows += rows_of(found, input=track["modality"], cell=cell)
        table = pd.DataFrame(rows, columns=["input", "cell", "unit", "outcome", "reason", "n"])
    phrases = {}
    for (name, cell), own in table.groupby(["input", "cell"], sort=False):
        phrases[str(name), str(cell)] = "; ".join(
            _phrase(str(unit), rows) for unit, rows in own.groupby("unit", sort=False)
        )
    for cell in dataset["tracks"]:
        if ("elements", cell) in phrases:
            phrases["elements and store", cell] = phrases.pop(("elements", cell))
    return phrases


def _phrase(unit: str, rows: pd.DataFrame) -> str:
    number = {o: int(rows.loc[rows["outcome"] == o, "n"].sum()) for o in ("read", "kept")}
    text = f"{number['kept']:,} of {number['read']:,} {unit}"
    skipped = rows[rows["outcome"] == "skipped"]
    reasons = ", ".join(f"{int(r.n):,} {r.reason}" for r in skipped.itertuples())
    return f"{text} (skipped: {reasons})" if reasons else text


def write_tables(request: Mapping[str, Any]) -> int:
    """Write ``checks/inputs.tsv`` and ``.md`` of every dataset, print them and what was refused.

    Args:
        request: ``sheets`` (input, file, n) and ``datasets``, see :func:`dataset_table`.

    Returns:
        How many inputs were refused or not read.
    """
    sheets = pd.DataFrame(
        [
            {"input": s["input"], "cell": "", "state": OK, "counts": f"{s['n']:,} entries",
             "file": s["file"], "said": ""}
            for s in request["sheets"]
        ],
        columns=list(COLUMNS),
    )  # fmt: skip
    bad: list[str] = []
    n_waiting = 0
    for name, dataset in request["datasets"].items():
        table = pd.concat([sheets, dataset_table(dataset)], ignore_index=True)
        folder = Path(dataset["folder"]) / "checks"
        write_tsv(table, folder / "inputs.tsv")
        write_text(_markdown(name, table), folder / "inputs.md")
        sys.stdout.write(_printed(name, table) + "\n")
        bad += [
            f"{row.input}{f' of {row.cell}' if row.cell else ''} ({name})"
            for row in table[table["state"] == REFUSED].itertuples()
        ]
        n_waiting += int((table["state"] == UNREAD).sum())
    if bad or n_waiting:
        sys.stdout.write(
            f"error: expected inputs that can all be used, found {len(bad)} refused"
            f"{': ' + ', '.join(bad) if bad else ''}"
            f"{f', and {n_waiting} not read' if n_waiting else ''}; correct what the table says "
            "and start the target checks again.\n"
        )
    sys.stdout.flush()
    return len(bad) + n_waiting


def _printed(name: str, table: pd.DataFrame) -> str:
    counts = table["state"].value_counts()
    shown = ", ".join(f"{counts[state]} {state}" for state in (OK, FLAG, REFUSED, UNREAD)
                      if state in counts)  # fmt: skip
    lines = [f"Inputs of {name}: {shown}"]
    names = [f"{r.input} {r.cell}".strip() for r in table.itertuples()]
    width = max(map(len, names))
    for label, row in zip(names, table.itertuples(), strict=True):
        lines.append(f"  {row.state:<8}  {label:<{width}}  {row.counts}".rstrip())
        if row.said:
            lines.append(f"  {'':<8}  {'':<{width}}  {row.said}")
    return "\n".join(lines)


def _markdown(name: str, table: pd.DataFrame) -> str:
    head = f"# Inputs of {name}\n\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
    body = "".join(
        "| " + " | ".join(str(value).replace("|", "\\|") for value in row) + " |\n"
        for row in table[list(COLUMNS)].itertuples(index=False)
    )
    return head + body


if __name__ == "__main__":
    raise SystemExit(min(write_tables(json.load(sys.stdin)), 1))
