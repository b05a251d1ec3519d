"""Predictions of genes without labels, as a user may ask for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from prismflow.errors import InputError
from prismflow.settings import yaml_files
from prismflow.settings.keys import Flag, Keys, key
from prismflow.settings.sheets import check_name


class Prediction(Keys):
    """Genes that trained runs predict with the tracks of any cell."""

    dataset: str = key("Dataset whose runs predict.")
    cell: str = key("Cell that they were trained in.")
    model: str = key("Their model.")
    genes: str = key("TSV (gene_id, chrom, tss, strand, the model's gene features) or GTF.")
    genome: str | None = key("FASTA; null for that of the dataset.", None)
    tracks: str | None = key("Cell whose tracks are read; null for `cell`.", None)
    tss: Literal["canonical", "most_5prime"] = key("TSS rule of a GTF.", "canonical")
    both_strands: Flag = key("Average over both strands.", False)


class Configured(Protocol):
    """What the checks read of a configuration."""

    @property
    def values(self) -> dict[str, Any]: ...
    @property
    def files(self) -> tuple[str, ...]: ...
    @property
    def cells(self) -> Mapping[str, Any]: ...
    @property
    def models(self) -> dict[str, dict[str, Any]]: ...


def check_predictions(config: Configured) -> None:
    """Check names and files of predictions.

    Raises:
        InputError: an unknown dataset, cell or model, or an absent file.
    """
    datasets = config.values["datasets"]
    for name, entry in config.values["predictions"].items():
        check_name(name, "prediction", yaml_files.where(config.files, ("predictions", name)))

        def where(key: str, name: str = name) -> str:
            return yaml_files.where(config.files, ("predictions", name, key))

        _check_known(where("dataset"), "dataset", entry["dataset"], datasets)
        own = datasets[entry["dataset"]]["cells"]
        _check_known(where("cell"), "cell of the dataset", entry["cell"], own)
        if entry["tracks"] is not None:
            _check_known(where("tracks"), "cell", entry["tracks"], config.cells)
        for key_of_file in ("genes", "genome"):
            path = entry[key_of_file]
            if path and not os.path.exists(path) and not datasets[entry["dataset"]]["simulate"]:
                raise InputError(
                    f"{where(key_of_file)}: expected a file at {path}, found none (looked in "
                    f"{os.getcwd()}); correct the path or put the file there."
                )


def _check_known(where: str, what: str, name: str, known: Any) -> None:
    if name not in known:
        raise InputError(
            f"{where}: unknown {what} {name!r}; known are {', '.join(known)}; correct the name."
        )
