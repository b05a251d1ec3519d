"""A copy of the demo's configuration to damage, and the mistakes that are tried with it.

Used by the tests of the settings and by tests/errors, which writes docs/errors.md from it.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from prismflow.plan.runs import Plan, make_plan
from prismflow.settings import config as configuration
from prismflow.settings.datasets import merge


class Project:
    """A copy of the demo's configuration that a test may damage."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        shutil.copytree(root / "config", folder / "config")

    def edit(self, file: str, change: Callable[[Any], None]) -> None:
        """Change one YAML file."""
        path = self.folder / "config" / file
        content = yaml.safe_load(path.read_text())
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace text in one file; the text must be there."""
        path = self.folder / "config" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def plan(self) -> Plan:
        """What planning does with the files."""
        files = ["config/config.yaml", "config/demo.yaml"]
        merged: dict[str, Any] = {}
        for file in files:
            merged = merge(merged, yaml.safe_load(Path(file).read_text()))
        return make_plan(configuration.load(copy.deepcopy(merged), files))


def setting(*path: str, value: Any) -> Callable[[Any], None]:
    """A change that sets one nested key."""

    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content.setdefault(key, {})
        content[path[-1]] = value

    return change


def removal(*path: str) -> Callable[[Any], None]:
    """A change that removes one nested key."""

    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


WRONG_YAML = {
    "unknown key": (
        "demo.yaml",
        setting("trainign", value={}),
        r"config/demo\.yaml, line \d+ \(trainign\): unknown key 'trainign': expected only .*train",
    ),
    "explained model that is no network": (
        "demo.yaml",
        setting("attributions", value={"models": ["gbm"]}),
        r"demo\.yaml, line \d+ \(attributions\.models\.0\): expected networks.*found 'gbm'",
    ),
    "reference of s3norm without a track": (
        "demo.yaml",
        setting("modalities", "dnase", value={"kind": "signal", "s3norm": {"reference": "K562"}}),
        r"modalities\.dnase\.s3norm\): expected a cell with a track 'dnase' .* found 'K562'",
    ),
    "s3norm without a reference": (
        "demo.yaml",
        setting("modalities", "dnase", value={"kind": "signal", "transform": "s3norm"}),
        r"modalities\.dnase\.transform\): the transform 's3norm' of 'dnase' needs a reference",
    ),
    "called peaks without share and control": (
        "demo.yaml",
        setting("called_peaks", value={"simA": {"track": "resources/demo/simA.dnase.bw"}}),
        r"called_peaks\.simA\): expected one of `top_share` and `control`, found neither",
    ),
    "called peaks of a track that isn't there": (
        "demo.yaml",
        setting("called_peaks", value={"simA": {"track": "resources/x.bw", "top_share": 0.1}}),
        r"called_peaks\.simA\.track\): expected a bigWig at resources/x\.bw, found none",
    ),
    "unknown nested key": (
        "config.yaml",
        setting("training", "learning_rte", value=0.1),
        r"config\.yaml, line \d+ \(training\.learning_rte\): .* did you mean 'learning_rate'",
    ),
    "number as text": (
        "demo.yaml",
        setting("training", "learning_rate", value="1e-2"),
        r"training\.learning_rate\): expected number, found the text '1e-2'; write .* 0\.01",
    ),
    "unknown training key of a model": (
        "models.yaml",
        setting("cnn", "training", value={"step": 5}),
        r"models\.yaml, line \d+ \(cnn\.training\.step\): unknown key 'step': .* mean 'steps'",
    ),
    "negative steps": (
        "demo.yaml",
        setting("training", "steps", value=-5),
        r"demo\.yaml, line \d+ \(training\.steps\): expected a number of at least 1, found -5",
    ),
    "odd window": (
        "demo.yaml",
        setting("datasets", "demo", "window_bp", value=2001),
        r"window_bp\): expected an even window length in bp, at least 2, found 2001",
    ),
    "negative window": (
        "demo.yaml",
        setting("datasets", "demo", "window_bp", value=-2000),
        r"window_bp\): expected an even window length in bp, at least 2, found -2000",
    ),
    "one label column for two cells": (
        "demo.yaml",
        setting("datasets", "demo", "label", "column", value="simA_cage"),
        r"demo\.yaml, line \d+ \(datasets\.demo\.label\.column\): expected a column with \{cell\} "
        r"in its name, since the cells simA, simB need one each, found 'simA_cage'",
    ),
    "a logarithm of the label without a pseudocount": (
        "demo.yaml",
        setting("datasets", "demo", "label", "transform", value="log10"),
        r"label\.transform\): expected a pseudocount above 0 beside label\.transform: log10",
    ),
    "a pseudocount that nothing reads": (
        "demo.yaml",
        setting("datasets", "demo", "label", "pseudocount", value=0.1),
        r"expected no pseudocount beside label\.transform: log10p1, found 0\.1",
    ),
    "one column of promoter activity for two cells": (
        "demo.yaml",
        setting("datasets", "demo", "genes", "promoter_activity", value="activity"),
        r"promoter_activity\): expected a column with \{cell\} in its name, .* found 'activity'",
    ),
    "odd model window": (
        "models.yaml",
        setting("prism_n0", "window_bp", value=333),
        r"prism_n0\.window_bp\): expected an even window length .* found 333",
    ),
    "window longer than the store": (
        "demo.yaml",
        setting("model_overrides", "gene_features", "window_bp", value=4000),
        r"model gene_features asks for windows of 4,000 bp, but the store .* demo holds 600",
    ),
    "fold that doesn't exist": (
        "demo.yaml",
        setting("datasets", "demo", "splits", "folds", value=["fold13"]),
        r"expected one of the paper's folds fold1 \.\.\. fold12, found 'fold13'",
    ),
    "unknown dataset": (
        "demo.yaml",
        setting("run", "datasets", value=["demmo"]),
        r"demo\.yaml, line \d+ .*unknown dataset 'demmo'; known are hg38_cage, hg38_rna, demo",
    ),
    "unknown experiment": (
        "demo.yaml",
        setting("run", "experiments", value=["mian"]),
        r"unknown experiment 'mian'; known are main, input_length",
    ),
    "unknown model": (
        "experiments.yaml",
        setting("experiments", "folds", "models", value=["prims"]),
        r"\(experiments\.folds\): unknown model 'prims'; known are gene_features, .*models\.yaml",
    ),
    "unknown scenario": (
        "experiments.yaml",
        setting("experiments", "main", "scenarios", value=["fulll"]),
        r"unknown scenario 'fulll'; known are full, without_h3k27ac",
    ),
    "unknown modality in a model": (
        "models.yaml",
        setting("prism", "modalities", value=["h3k27ac", "h3k4me9"]),
        r"unknown modality 'h3k4me9'; known are h3k27ac, dnase, hic",
    ),
    "unknown modality in a scenario": (
        "experiments.yaml",
        setting("scenarios", "without_dnase", "remove", value=["dnas"]),
        r"scenarios\.without_dnase\): unknown modality 'dnas' in `remove`; known are h3k27ac",
    ),
    "unknown cell": (
        "demo.yaml",
        setting("datasets", "demo", "cells", value=["simC"]),
        r"unknown cell 'simC'; known are simA, simB \(from config/demo/cells\.tsv\)",
    ),
    "unknown architecture": (
        "models.yaml",
        setting("cnn", "architecture", value="transformer"),
        r"models\.yaml, line \d+ \(cnn\.architecture\): expected one of prism, .*'transformer'",
    ),
    "unknown hyperparameter": (
        "models.yaml",
        setting("prism", "hyperparameters", "n_context", value=3),
        r"unknown hyperparameter 'n_context' of prism; .* did you mean 'n_contexts'",
    ),
    "base that doesn't exist": (
        "models.yaml",
        setting("prism_n1", "base", value="prysm"),
        r"prism_n1\.base\): expected the name of another model, found 'prysm' that doesn't exist",
    ),
    "base in a circle": (
        "models.yaml",
        setting("prism", "base", value="prism_n1"),
        r"found '\w+' that inherits from itself",
    ),
    "signals for a sequence-only model": (
        "models.yaml",
        setting("caduceus", "modalities", value=["dnase"]),
        r"expected `modalities: none` because caduceus reads sequence only",
    ),
    "reserved model name": (
        "models.yaml",
        setting("store", value={"base": "prism"}),
        r"the model name 'store' is reserved",
    ),
    "model name with a slash": (
        "models.yaml",
        setting("prism/2", value={"base": "prism"}),
        r"expected a model name of letters, digits and '_' .*, found 'prism/2'",
    ),
    "modality name with a space": (
        "config.yaml",
        setting("modalities", "H3K4 me3", value={"kind": "signal"}),
        r"expected a modality name of letters, digits and '_' .*, found 'H3K4 me3'",
    ),
    "missing key": (
        "demo.yaml",
        removal("datasets", "demo", "genome"),
        r"datasets\.demo\): expected the key 'genome', found only",
    ),
    "path that doesn't exist": (
        "demo.yaml",
        setting("datasets", "demo", "blacklist", value="data/blacklist.bed"),
        r"datasets\.demo\.blacklist\): expected a file at data/blacklist\.bed, found none",
    ),
    "override of an unknown model": (
        "demo.yaml",
        setting("model_overrides", "prsm", value={"window_bp": 500}),
        r"model_overrides\.prsm\): expected a name that stands in .*models\.yaml, found 'prsm'",
    ),
    "checkpoint that isn't there": (
        "models.yaml",
        setting("prism", "checkpoint", value="authors/{cell}/seed_{seed}.ckpt"),
        r"prism\.checkpoint\): expected a checkpoint at authors/sim[AB]/seed_\d+\.ckpt for cell",
    ),
    "negative loss weight": (
        "models.yaml",
        setting("prism", "loss", value={"uniform": -1}),
        r"prism\.loss\.uniform\): expected a number of at least 0, found -1",
    ),
    "unknown loss weight": (
        "models.yaml",
        setting("prism", "loss", value={"unifrm": 1}),
        r"models\.yaml, line \d+ \(prism\.loss\.unifrm\): unknown loss weight .*mean 'uniform'",
    ),
    "hyperparameter as text": (
        "models.yaml",
        setting("cnn", "hyperparameters", value={"d_hidden": "128"}),
        r"models\.yaml, line \d+ \(cnn\.hyperparameters\.d_hidden\): expected integer, found the "
        r"text '128'; write the number as 128",
    ),
    "overridden hyperparameter as text": (
        "demo.yaml",
        setting("model_overrides", "prism", "hyperparameters", "d_model", value="128"),
        r"demo\.yaml, line \d+ \(model_overrides\.prism\.hyperparameters\.d_model\): expected int",
    ),
    "hyperparameter out of range": (
        "models.yaml",
        setting("prism", "hyperparameters", "drop_rate", value=1.5),
        r"prism\.hyperparameters\.drop_rate\): drop_rate must be between 0 and 1, found 1\.5",
    ),
    "hyperparameters that don't fit together": (
        "models.yaml",
        setting("enformer", "hyperparameters", value={"d_model": 100}),
        r"enformer\.hyperparameters\.d_model\): d_model must be a multiple of 6 x n_heads = 48",
    ),
    "grid of a hyperparameter out of range": (
        "experiments.yaml",
        setting(
            "experiments",
            "contexts",
            "vary",
            value={"models": ["prism"], "hyperparameters": {"n_contexts": [-1]}},
        ),
        r"experiments\.contexts\.vary\.hyperparameters\.n_contexts\): n_contexts must be 0 or more",
    ),
    "warm-up as long as the training": (
        "demo.yaml",
        setting("training", "warmup_steps", value=150),
        r"demo\.yaml, line \d+ \(training\.warmup_steps\): expected warmup_steps below steps, "
        r"found warmup_steps 150 and steps 150",
    ),
    "warm-up longer than a model's training": (
        "models.yaml",
        setting("cnn", "training", value={"steps": 10}),
        r"models\.yaml, line \d+ \(cnn\.training\): .*found warmup_steps 15 and steps 10",
    ),
    "setting of the simulator out of range": (
        "demo.yaml",
        setting("datasets", "demo", "simulate", "n_genes", value=3),
        r"datasets\.demo\.simulate\.n_genes\): expected a number of at least 80, found 3",
    ),
    "cell named twice": (
        "demo.yaml",
        setting("datasets", "demo", "cells", value=["simA", "simA"]),
        r"datasets\.demo\.cells\): expected no entry twice, found \['simA', 'simA'\]",
    ),
    "keys where a list belongs": (
        "demo.yaml",
        setting("seeds", value={"first": 2}),
        r"demo\.yaml, line \d+ \(seeds\): expected a list, found \{'first': 2\}",
    ),
    "infinite number": (
        "demo.yaml",
        setting("training", "learning_rate", value=float("inf")),
        r"training\.learning_rate\): expected a finite number, found inf",
    ),
}


WRONG_SHEETS = {
    "duplicated track": (
        "demo/tracks.tsv",
        "simB\th3k27ac\t",
        "simA\th3k27ac\t",
        r"demo/tracks\.tsv, line 5: the row simA / h3k27ac stands twice, first in line 2",
    ),
    "missing column": (
        "demo/tracks.tsv",
        "cell\tmodality",
        "cell\tsignal",
        r"tracks\.tsv, line 1: expected the column 'modality', found only cell, signal",
    ),
    "unknown column": (
        "demo/tracks.tsv",
        "assembly",
        "asembly",
        r"tracks\.tsv, line 1: unknown column 'asembly'; expected only",
    ),
    "unknown cell in the tracks": (
        "demo/tracks.tsv",
        "simA\tdnase",
        "simX\tdnase",
        r"tracks\.tsv, line 3: unknown cell 'simX'; known are simA, simB \(from config/demo/cells",
    ),
    "unknown modality in the tracks": (
        "demo/tracks.tsv",
        "simA\tdnase",
        "simA\tatac",
        r"tracks\.tsv, line 3: unknown modality 'atac'; known are h3k27ac, dnase, hic",
    ),
    "shell code as a cell": (
        "demo/cells.tsv",
        "simA\t",
        "simA; rm -rf x\t",
        r"cells\.tsv, line 2: expected a cell name of letters, .*found 'simA; rm -rf x'",
    ),
    "reserved cell name": (
        "demo/cells.tsv",
        "simA\t",
        "figures\t",
        r"cells\.tsv, line 2: the cell name 'figures' is reserved",
    ),
    "track that isn't there": (
        "demo/tracks.tsv",
        "resources/demo/simA.dnase.bw",
        "resources/demo/simA.dnas.bw",
        r"tracks\.tsv, line 3: expected a file at resources/demo/simA\.dnas\.bw, found none",
    ),
    "contacts without a resolution": (
        "demo/tracks.tsv",
        "\t5000\tNONE",
        "\t\tNONE",
        r"tracks\.tsv, line 4: expected `resolution_bp` .* and `normalisation`",
    ),
    "wrong format for the kind": (
        "demo/tracks.tsv",
        "resources/demo/simA.mcool\tmcool",
        "resources/demo/simA.mcool\tbigWig",
        r"tracks\.tsv, line 4: expected a file of format hic or cool or mcool .*, found 'bigwig'",
    ),
    "neither path nor accession": (
        "demo/tracks.tsv",
        "resources/demo/simA.dnase.bw",
        "",
        r"tracks\.tsv, line 3: expected a local `path`, a `portal` with `accession`, or a `url`",
    ),
    "ragged line": (
        "demo/tracks.tsv",
        "simA\tdnase\t",
        "simA dnase\t",
        r"tracks\.tsv, line 3: expected 7 tab-separated fields .*, found 6; check for spaces",
    ),
    "empty required field": (
        "demo/tracks.tsv",
        "simA\tdnase\t",
        "simA\t\t",
        r"tracks\.tsv, line 3: expected a value in column 'modality', found none",
    ),
}
