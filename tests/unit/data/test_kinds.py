"""Kinds of modalities: found by their file, planned by their row, and what another one costs."""

from __future__ import annotations

import ast
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prismflow.data.kinds import Kind, kind_of
from prismflow.data.transforms import known_kinds
from prismflow.errors import InputError
from prismflow.settings.kinds import KINDS, SUFFIXES

ROW = """    "signal": KindRow({"bigwig": "bw"}, levelled=True),
    "levels": KindRow({"tsv": "tsv"}),
"""
FILE = '''
"""A level per gene from a table of two columns."""

import numpy as np

from prismflow.data.kinds import AtTss, Kind
from prismflow.data.store_writer import RowFile


class Levels(Kind):
    def inspect(self, track, genes, window_bp):
        return {"n_levels": len(open(track["path"]).readlines())}

    def write(self, file, track, genes, window_bp, dtype):
        levels = [float(line) for line in open(track["path"])]
        with RowFile(file, (len(genes.tss), window_bp), dtype) as out:
            for row, level in enumerate(levels):
                out.write(np.array([row]), np.full((1, window_bp), level))
        return {"dtype": dtype}

    def at_tss(self, track, genes, window_bp):
        levels = [float(line) for line in open(track["path"])]
        return AtTss(level=np.array(levels), level_words="the level")


KIND = Levels()
'''
BUILD = """
import json
from pathlib import Path

import numpy as np

import prismflow
from prismflow.data.store import Store
from prismflow.data.store_builder import build_store
from prismflow.data.tracks import inspect_track
from prismflow.data.layouts import layout_of
from prismflow.data.chromosomes import Genes
from prismflow.data.inputs import GeneInputs
from prismflow.evaluation.data_checks import check_data
from prismflow.figures.draw_figure import plot_data_checks
from prismflow.files import read_tsv, write_json
from prismflow.models.tabular import GradientBoosting, GradientBoostingSettings
from prismflow.settings.kinds import SUFFIXES, TRACK_FORMATS

Path("g.fa").write_text(">chr1\\n" + "ACGT" * 500 + "\\n")
Path("levels.tsv").write_text("1.5\\n4\\n")
columns = "gene_id chrom tss strand window_start window_end label_A"
rows = ["a chr1 800 + 700 900 1", "b chr1 1200 - 1100 1300 2"]
text = "\\n".join([columns, *rows, ""])
Path("genes.tsv").write_text(text.replace(" ", "\\t"))
genes = Genes(np.array(["chr1"] * 2, dtype=object), np.array([800, 1200]), {"chr1": 2000})
found = inspect_track("levels.tsv", "levels", genes, modality="rna")
build_store(
    "store", dataset="d", cell="A", genes_path="genes.tsv", fasta="g.fa", window_bp=200,
    tracks=[{"modality": "rna", "kind": "levels", "path": "levels.tsv"}],
)
store = Store.open("store")
both = np.array([0, 1])
transforms = {"rna": layout_of(store.modality("rna")).default_transform}
inputs = GeneInputs(store, ("rna",), transforms, (), 100)
read = GradientBoosting.inputs(inputs)
chosen = GradientBoostingSettings(bin_bp=50, max_iter=2, min_samples_leaf=1, max_features=1.0)
features = GradientBoosting.design(read, both, chosen)
data = (np.repeat(features, 20, axis=0), np.repeat([1.0, 2.0], 20))
write_json(found, "levels.json")
Path("dropped.tsv").write_text("gene_id\\treason\\n")
Path("sizes").write_text("chr1\\t2000\\n")
track = {"modality": "rna", "kind": "levels", "path": "levels.tsv"}
files = {name: f"{name}.tsv" for name in ("checks", "profiles", "examples")}
files["summary"] = "summary.json"
check_data(
    {"A": [track]}, {"A": {"rna": "levels.json"}}, {}, genes="genes.tsv", dropped="dropped.tsv",
    sizes="sizes", outputs=files,
)
plot_data_checks({"target_label": "label"}, files, "checks.pdf", "checks.png")
trained, _ = GradientBoosting.train(data, data, chosen, seed=2)
print(json.dumps({
    "package": prismflow.__file__, "n_levels": found["n_levels"], "inputs": store.modalities,
    "values": store.signal("rna", [0, 1], 100)[:, 0].tolist(), "formats": TRACK_FORMATS["levels"],
    "suffix": SUFFIXES["tsv"], "features": features.tolist(),
    "channel": inputs.signals(both)[:, 0, 0].tolist(),
    "predicted": trained.predict(features).tolist(),
    "checked": read_tsv("checks.tsv").iloc[0].to_dict(),
    "drawn": Path("checks.png").read_bytes()[1:4].decode(),
}))
"""
DIGESTS = """
import json

from prismflow.jobs.code_digest import code_digest
from prismflow.settings.kinds import KINDS, module_of

stages = ["data.tracks", "data.store_builder", "training.run", "evaluation.scenarios",
          "evaluation.data_checks", "evaluation.worlds", "data.windows"]
wanted = ["signal", "contacts", "peaks"]
print(json.dumps({
    **{f"{stage} {kind}": code_digest(stage, module_of(kind)) for stage in stages
       for kind in wanted},
    **({"levels": code_digest("data.tracks", module_of("levels"))} if "levels" in KINDS else {}),
}))
"""


def in_copy(copy: Path, code: str) -> dict:
    """What a child process prints that imports the copied package."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(copy / "src")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_another_kind_costs_its_file_and_one_row(root: Path, tmp_path: Path) -> None:
    shutil.copytree(
        root / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    before = in_copy(tmp_path, DIGESTS)
    rows = tmp_path / "src/prismflow/settings/kinds.py"
    text = rows.read_text()
    assert text.count(ROW.splitlines()[0]) == 1
    rows.write_text(text.replace(ROW.splitlines(keepends=True)[0], ROW))
    (tmp_path / "src/prismflow/data/kinds/levels.py").write_text(FILE)
    found = in_copy(tmp_path, BUILD)
    assert found["package"].startswith(str(tmp_path))
    assert found["n_levels"] == 2
    assert found["inputs"] == ["rna"]
    assert found["values"] == [1.5, 4.0]
    # What a network gets, and what trees are grown on and tell apart.
    assert found["channel"] == [1.5, 4.0]
    logged = [[math.log1p(level)] * 3 for level in (1.5, 4.0)]
    assert found["features"] == [pytest.approx(row) for row in logged]
    assert found["predicted"][0] < found["predicted"][1]
    assert (found["formats"], found["suffix"]) == ({"tsv": "tsv"}, "tsv")
    # Higher labels stand where the level is higher: what the data check says of it.
    assert found["checked"]["kind"] == "levels"
    assert found["checked"]["spearman"] == pytest.approx(1)
    assert found["drawn"] == "PNG"
    after = in_copy(tmp_path, DIGESTS)
    assert after.pop("levels") not in before.values()
    assert after == before


def test_an_edit_of_one_kind_leaves_the_others_digests(root: Path, tmp_path: Path) -> None:
    shutil.copytree(
        root / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    before = in_copy(tmp_path, DIGESTS)
    with open(tmp_path / "src/prismflow/data/kinds/contacts.py", "a") as out:
        out.write("\nEDITED = True\n")
    after = in_copy(tmp_path, DIGESTS)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {name for name in before if name.endswith(" contacts")}


def test_every_row_has_a_file_and_every_file_a_row() -> None:
    assert known_kinds() == sorted(KINDS)
    for name in KINDS:
        assert isinstance(kind_of("x", name), Kind)


def kinds_compared(source: str) -> list[str]:
    """Lines of Python that compare something with the name of a kind."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("startswith"):
            sides = list(node.args)
        else:
            continue
        # A collection on one side counts by what it lists.
        values = [
            value for side in sides
            for value in (side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side])
        ]  # fmt: skip
        if any(isinstance(value, ast.Constant) and value.value in KINDS for value in values):
            lines.append(f"{node.lineno}: {ast.unparse(node)}")
    return lines


def test_only_a_kinds_own_file_and_row_know_its_name(root: Path) -> None:
    assert kinds_compared('if kind == "peaks":\n    pass')
    assert kinds_compared('kept = [t for t in tracks if t.kind not in ("signal", "other")]')
    assert kinds_compared('match kind:\n    case "contacts":\n        pass')
    assert not kinds_compared('track = {"kind": "peaks"}')
    package = root / "src" / "prismflow"
    own = {package / "settings" / "kinds.py", *(package / "data" / "kinds").glob("*.py")}
    read = {*package.rglob("*.py"), *(root / "workflow" / "scripts").glob("*.py")} - own
    assert len(read) > 200
    branches = {
        str(path.relative_to(root)): lines
        for path in sorted(read) if (lines := kinds_compared(path.read_text()))
    }  # fmt: skip
    assert branches == {}


def test_unknown_kinds_and_reserved_names_are_refused() -> None:
    with pytest.raises(InputError, match="kind 'image' is not known; known kinds: contacts, peaks"):
        kind_of("x", "image")
    with pytest.raises(InputError, match="reserved"):
        kind_of("labels", "signal")


def test_suffixes_name_formats_that_a_kind_has() -> None:
    formats = {name for row in KINDS.values() for name in row.formats}
    assert set(SUFFIXES.values()) == formats
    assert SUFFIXES["narrowpeak"] == "narrowpeak"
    assert SUFFIXES["bigwig"] == SUFFIXES["bw"] == "bigwig"
