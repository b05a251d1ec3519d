"""The table of inputs: no refusal hides another input, and what was refused is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from prismflow.data.genome import index_genome
from prismflow.data.steps import inspect_track
from prismflow.evaluation import input_table
from prismflow.evaluation.input_table import dataset_table, job_states, write_tables
from prismflow.files import read_tsv, write_json, write_tsv
from prismflow.simulate import simulate

DONE = "2026-01-01 10:00:00 INFO rule x finished in 0.1 s\n"
REFUSED = "2026-01-01 10:00:00 INFO rule x started\n2026-01-01 10:00:00 ERROR x.bw: is damaged.\n"
SIGNALS = ("h3k27ac", "dnase")


def job(folder: Path, name: str, log: str | None, *needs: str, done: bool = True) -> dict[str, Any]:
    if log is not None:
        (folder / f"{name}.log").write_text(log)
    if done:
        (folder / f"{name}.out").write_text("")
    return {"log": str(folder / f"{name}.log"), "output": str(folder / f"{name}.out"),
            "needs": list(needs)}  # fmt: skip


def test_states_of_jobs(tmp_path: Path) -> None:
    states = job_states(
        {
            "z_first": job(tmp_path, "a", DONE),
            "refused": job(tmp_path, "b", REFUSED, "z_first", done=False),
            "stale": job(tmp_path, "c", REFUSED, "refused"),
            "killed": job(tmp_path, "d", "INFO rule x started\n", "z_first", done=False),
            "warned": job(tmp_path, "e", REFUSED + DONE, "z_first"),
            "unlogged": job(tmp_path, "f", None, "z_first"),
        }
    )
    assert states["z_first"] == ("ok", "")
    assert states["refused"] == ("refused", "x.bw: is damaged.")
    # Its log and result are of an earlier run.
    assert states["stale"] == ("not read", "waits for refused")
    assert states["killed"][0] == "not read" and "d.log" in states["killed"][1]
    assert states["warned"][0] == states["unlogged"][0] == "ok"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated dataset whose genes are kept and whose tracks are inspected."""
    folder = tmp_path_factory.mktemp("inputs")
    simulate(folder, {"n_genes": 120}, seed=3)
    results = folder / "results"
    (results / "genome").mkdir(parents=True)
    (results / "checks").mkdir()
    index_genome(folder / "genome.fa", results / "genome" / "chrom.sizes")
    raw = read_tsv(folder / "genes.tsv")
    genes = raw[["gene_id", "chrom", "tss", "strand"]].copy()
    genes["window_start"], genes["window_end"] = genes["tss"] - 300, genes["tss"] + 300
    genes["label_simA"] = np.log10(raw["simA_cage"] + 1)
    write_tsv(genes, results / "genes.tsv")
    write_tsv(genes.head(0).assign(reason=""), results / "dropped.tsv")
    write_tsv(pd.DataFrame({"fold": [], "gene_id": [], "action": []}),
              results / "shared_sequence.tsv")  # fmt: skip
    for name in SIGNALS:
        inspect_track(
            {"modality": name, "kind": "signal", "path": folder / f"simA.{name}.bw", "where": "s"}
            | {"path": str(folder / f"simA.{name}.bw")},
            {}, genes=results / "genes.tsv", sizes=results / "genome" / "chrom.sizes",
            summary=results / f"{name}.json",
        )  # fmt: skip
    return folder


def dataset(folder: Path, out: Path, refused: set[str]) -> dict[str, Any]:
    """The request for a dataset in which these jobs have refused their input."""
    results = folder / "results"
    outputs = {
        "index_genome": "genome/chrom.sizes", "define_windows": "genes.tsv",
        **{f"inspect simA {name}": f"{name}.json" for name in SIGNALS},
        "store simA": "inputs.json", "check_data": "summary.json",
    }  # fmt: skip
    needs = {
        "index_genome": [], "define_windows": ["index_genome"],
        **{f"inspect simA {name}": ["define_windows"] for name in SIGNALS},
        "store simA": ["define_windows", *(f"inspect simA {name}" for name in SIGNALS)],
    }  # fmt: skip
    needs["check_data"] = ["define_windows", *list(needs)[2:]]
    jobs = {}
    for name, output in outputs.items():
        log = out / f"{name}.log"
        log.write_text(REFUSED if name in refused else DONE)
        jobs[name] = {"log": str(log), "output": str(results / output), "needs": needs[name]}
    tracks = [
        {"modality": name, "kind": "signal", "path": str(folder / f"simA.{name}.bw"),
         "resolution_bp": None, "normalisation": "", "absent_chromosomes": "error",
         "where": "tracks.tsv line 2", "job": f"inspect simA {name}"}
        for name in SIGNALS
    ]  # fmt: skip
    rows = [
        {"input": "genome", "job": "index_genome", "file": "genome.fa"},
        {"input": "genes", "job": "define_windows", "file": "genes.tsv"},
        {"input": "labels", "cell": "simA", "job": "define_windows", "file": "genes.tsv"},
        *({"input": t["modality"], "cell": "simA", "job": t["job"], "file": t["path"]}
          for t in tracks),
        {"input": "store", "cell": "simA", "job": "store simA", "file": ""},
        {"input": "all together", "job": "check_data", "file": ""},
    ]  # fmt: skip
    return {
        "rows": rows, "jobs": jobs, "tracks": {"simA": tracks}, "folder": str(results),
        "aliases": {}, "label_transform": "log10p1",
    }  # fmt: skip


def by_input(table: pd.DataFrame) -> dict[str, Any]:
    return {row.input: row for row in table.itertuples()}


def test_tracks_are_read_although_the_genes_were_refused(made: Path, tmp_path: Path) -> None:
    rows = by_input(dataset_table(dataset(made, tmp_path, {"define_windows"})))
    assert rows["genes"].state == "refused" and rows["genes"].said == "x.bw: is damaged."
    assert (rows["labels"].state, rows["labels"].said) == ("not read", "see genes")
    assert rows["dnase"].state == "ok" and "against the genome alone" in rows["dnase"].said
    assert rows["store"].state == rows["all together"].state == "not read"


def test_a_damaged_track_is_found_beside_refused_genes(made: Path, tmp_path: Path) -> None:
    request = dataset(made, tmp_path, {"define_windows"})
    bad = tmp_path / "bad.bw"
    bad.write_bytes(Path(request["tracks"]["simA"][1]["path"]).read_bytes()[:2000])
    request["tracks"]["simA"][1]["path"] = str(bad)
    rows = by_input(dataset_table(request))
    assert rows["h3k27ac"].state == "ok"
    assert rows["dnase"].state == "refused"
    assert rows["dnase"].said.startswith(f"tracks.tsv line 2: {bad}")


def test_tracks_are_read_although_the_genome_was_refused(made: Path, tmp_path: Path) -> None:
    request = dataset(made, tmp_path, {"index_genome"})
    bad = tmp_path / "bad.bw"
    bad.write_bytes(Path(request["tracks"]["simA"][0]["path"]).read_bytes()[:2000])
    request["tracks"]["simA"][0]["path"] = str(bad)
    rows = by_input(dataset_table(request))
    assert rows["genome"].state == rows["h3k27ac"].state == "refused"
    assert rows["genes"].state == "not read"
    assert rows["dnase"].state == "ok" and "read by itself" in rows["dnase"].said


@pytest.mark.parametrize(("text", "state"), [("chr1\t5\t9\n", "ok"), ("chr1\t9\n", "refused")])
def test_a_blacklist_is_read_although_the_genes_were_refused(
    made: Path, tmp_path: Path, text: str, state: str
) -> None:
    request = dataset(made, tmp_path, {"define_windows"})
    path = tmp_path / "bad.bed"
    path.write_text(text)
    request["rows"].insert(3, {"input": "blacklist", "job": "define_windows", "file": str(path)})
    rows = by_input(dataset_table(request))
    assert (rows["genes"].state, rows["blacklist"].state) == ("refused", state)


def test_a_track_whose_submission_ended_with_another_is_read(made: Path, tmp_path: Path) -> None:
    request = dataset(made, tmp_path, {"inspect simA h3k27ac"})
    job = request["jobs"]["inspect simA dnase"]
    job["output"] = str(tmp_path / "never written")
    rows = by_input(dataset_table(request))
    assert rows["h3k27ac"].state == "refused"
    assert (
        rows["dnase"].state == "ok" and "read by itself, its job did not end" in rows["dnase"].said
    )
    request["tracks"]["simA"][1]["path"] = str(made / "genes.tsv")
    rows = by_input(dataset_table(request))
    assert rows["dnase"].state == "refused"
    assert rows["dnase"].said.startswith("tracks.tsv line 2: ")


def test_flags_of_the_other_tracks_stand_beside_a_refused_one(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def checks(cells: dict[str, Any], *rest: Any, **options: Any) -> list[str]:
        seen.append([track["modality"] for track in cells["simA"]])
        return ["simA h3k27ac: leans to the wrong side", "odd in general"]

    monkeypatch.setattr(input_table, "check_data", checks)
    rows = by_input(dataset_table(dataset(made, tmp_path, {"inspect simA dnase"})))
    assert seen == [["h3k27ac"]]
    assert rows["dnase"].state == "refused"
    assert (rows["h3k27ac"].state, rows["h3k27ac"].said) == (
        "flag", "simA h3k27ac: leans to the wrong side",
    )  # fmt: skip
    assert "bases" in rows["h3k27ac"].counts
    assert "odd in general" in rows["all together"].said


def test_the_remaining_tracks_are_truly_checked(made: Path, tmp_path: Path) -> None:
    rows = by_input(dataset_table(dataset(made, tmp_path, {"inspect simA dnase"})))
    assert rows["h3k27ac"].state == "ok"
    assert "what is left was checked" in rows["all together"].said


def test_tables_are_written_and_the_last_line_names_what_was_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = {
        "sheets": [{"input": "sheet of cells", "file": "cells.tsv", "n": 2}],
        "datasets": {"d": dataset(made, tmp_path, {"inspect simA dnase"})},
    }
    assert write_tables(request) == 3
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("error: expected inputs that can all be used, found 1 refused: dnase of "
                           "simA (d), and 2 not read")  # fmt: skip
    table = read_tsv(made / "results" / "checks" / "inputs.tsv")
    assert table["state"].value_counts().to_dict() == {"ok": 5, "not read": 2, "refused": 1}
    markdown = (made / "results" / "checks" / "inputs.md").read_text()
    assert "| dnase | simA | refused |" in markdown


def test_flags_are_taken_from_the_finished_job(made: Path, tmp_path: Path) -> None:
    results = made / "results"
    write_json({"shares": [], "counts": {}}, results / "inputs.json")
    flags = ["dnase: simA and simB have one file", "simA: the labels are logs",
             "label: simA and simB have the same"]  # fmt: skip
    write_json({"flags": flags}, results / "summary.json")
    columns = ["input", "cell", "unit", "outcome", "reason", "n"]
    write_tsv(
        pd.DataFrame(
            [["genes", "", "rows", "read", "", 9], ["genes", "", "rows", "kept", "", 7],
             ["genes", "", "rows", "skipped", "blacklisted", 2]], columns=columns,
        ),
        results / "input_summary.tsv",
    )  # fmt: skip
    try:
        rows = by_input(dataset_table(dataset(made, tmp_path, set())))
    finally:
        (results / "inputs.json").unlink()
        (results / "summary.json").unlink()
    assert rows["genes"].counts == "7 of 9 rows (skipped: 2 blacklisted)"
    assert rows["dnase"].state == rows["labels"].state == "flag"
    assert "are logs" in rows["labels"].said and "have the same" in rows["labels"].said
    assert rows["all together"].state == rows["h3k27ac"].state == "ok"
