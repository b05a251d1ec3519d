"""Wrong pretrained weights; as tests/errors/cases.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from errors.case import Case
from make_store import settings
from safetensors.torch import save_file
from small_genome import SIZES, pretraining, write_genes, write_genome
from unit.plan.planned import Files

from prismflow.arrays import save_arrays
from prismflow.data.genome import Genome
from prismflow.models.bimamba import released_keys
from prismflow.released.pretrained import adopt_pretrained
from prismflow.training.inference import build_model
from prismflow.training.initial import start_from
from prismflow.training.masked import network_of, pieces_of
from prismflow.training.pretrain import training_chromosomes
from prismflow.training.run import train_run

GROUP = "Pretrained weights"
WEIGHTS = Path("model.safetensors")
TABLE = "caduceus.backbone.embeddings.word_embeddings.weight"


def _start(sizes: dict[str, int], **more: torch.Tensor) -> Callable[[], object]:
    """Start a model of ``SIZES`` from a backbone of these sizes."""

    def run() -> object:
        torch.manual_seed(0)
        kept = network_of(pretraining(hyperparameters=sizes)).kept()
        save_arrays({name: value.numpy() for name, value in {**kept, **more}.items()}, WEIGHTS)
        model = build_model(settings("caduceus", hyperparameters=SIZES, modalities=[]))
        return start_from(model, WEIGHTS)

    return run


def _missing() -> object:
    chosen = settings("caduceus", modalities=[], initial_weights="long_context")
    files = ("out.safetensors", "model.json", "history.tsv")
    return train_run("store", "splits.tsv", "fold11", 2, chosen, *files, initial_path=WEIGHTS)


def _released(sizes: dict[str, int], drop: str | None = None) -> Callable[[], object]:
    """Take over a released Caduceus of these sizes for a model of ``SIZES``."""

    def run() -> object:
        backbone = network_of(pretraining(hyperparameters=sizes)).backbone
        own = backbone.state_dict()
        tensors = {
            f"caduceus.backbone.{key}": own[ours].clone()
            for key, ours in released_keys(backbone).items()
        }
        tensors[TABLE] = torch.zeros(16, sizes["d_model"])
        kept = {name: value for name, value in tensors.items() if name != drop}
        save_file(kept, "released.safetensors")
        return adopt_pretrained("released.safetensors", pretraining(), WEIGHTS)

    return run


def _absent() -> object:
    return adopt_pretrained("released.safetensors", pretraining(), WEIGHTS)


def _no_safetensors() -> object:
    Path("released.safetensors").write_bytes(b"no tensors")
    return adopt_pretrained("released.safetensors", pretraining(), WEIGHTS)


def _planned(**changes: Any) -> Callable[[], object]:
    def run() -> object:
        files = Files(Path(__file__).parents[2])
        return files.plan({"models": ["caduceus_pretrained"]}, **changes)

    return run


def _no_piece() -> object:
    with Genome(write_genome(Path())) as genome:
        return pieces_of(genome, ["chr1"], 8192, 0.5)


def _no_training_chromosome() -> object:
    return training_chromosomes(*write_genes(Path(), {"chr1": "test"}), "fold11")


PRETRAINING_CASES: tuple[Case, ...] = (
    Case(GROUP, "pretrained file of another size", _start({**SIZES, "d_model": 16}),
         r"expected embedding\.weight of shape \(8, 4\)"),
    Case(GROUP, "pretrained file with more layers", _start({**SIZES, "n_layers": 2}),
         r"backbone\.layers\.1\..* too many and none missing"),
    Case(GROUP, "pretrained file with other keys", _start(SIZES, other=torch.zeros(2)),
         "found other too many"),
    Case(GROUP, "pretrained file that isn't there", _missing,
         "expected the pretrained weights long_context, found no such file"),
    Case(GROUP, "released weights of another size", _released({**SIZES, "d_model": 16}),
         r"expected embedding\.weight of shape .* as the model's settings say"),
    Case(GROUP, "released weights of another number of layers",
         _released({**SIZES, "n_layers": 2}), "a Caduceus .* of 1 layers, found"),
    Case(GROUP, "released weights without the table of tokens", _released(SIZES, TABLE),
         r"embeddings\.word_embeddings\.weight missing"),
    Case(GROUP, "released weights that aren't there", _absent, "found no such file"),
    Case(GROUP, "released weights that are no safetensors", _no_safetensors,
         "expected a safetensors file"),
    Case(GROUP, "path of released weights in the configuration where nothing is",
         _planned(pretraining={"long_context": {"released": "weights/caduceus.safetensors"}}),
         r"pretraining\.long_context\.released\): expected released weights at"),
    Case(GROUP, "`initial_weights` that `pretraining` doesn't have",
         _planned(model_overrides={"caduceus_pretrained": {"initial_weights": "short"}}),
         r"initial_weights\): expected a name of `pretraining`.*found 'short'"),
    Case(GROUP, "`initial_weights` of an architecture without such a backbone",
         _planned(model_overrides={"caduceus_pretrained": {"architecture": "mamba"}}),
         "expected an architecture that can start from pretrained weights"),
    Case(GROUP, "pretraining of a model that isn't there",
         _planned(pretraining={"long_context": {"model": "caduceus_9"}}),
         r"pretraining\.long_context\.model\): expected a model of config/models\.yaml"),
    Case(GROUP, "pretraining of a model without such a backbone",
         _planned(pretraining={"long_context": {"model": "cnn"}}), r"found 'cnn' \(cnn\)"),
    Case(GROUP, "pretraining with a wrong key of `training`",
         _planned(pretraining={"long_context": {"training": {"step": 5}}}),
         r"unknown key 'step'"),
    Case(GROUP, "pieces of genome longer than its chromosomes", _no_piece,
         "expected pieces of 8192 bp"),
    Case(GROUP, "split without a chromosome that only trains", _no_training_chromosome,
         "expected chromosomes that only train in fold11, found none"),
)  # fmt: skip
