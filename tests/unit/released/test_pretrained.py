"""A released Caduceus gives the hidden states that its tokens had, and a wrong file a sentence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from small_genome import pretraining

from prismflow.arrays import load_arrays
from prismflow.errors import InputError
from prismflow.files import sha256
from prismflow.models.bimamba import released_keys
from prismflow.models.common import BaseEmbedding
from prismflow.released.pretrained import adopt_pretrained
from prismflow.training.masked import MaskedBases, network_of

TABLE = "caduceus.backbone.embeddings.word_embeddings.weight"


def released(network: MaskedBases, seed: int = 0) -> dict[str, torch.Tensor]:
    """The tensors of a language model on tokens with this backbone, as they are released."""
    torch.manual_seed(seed)
    own = network.backbone.state_dict()
    names = released_keys(network.backbone)
    tensors = {f"caduceus.backbone.{key}": own[ours].clone() for key, ours in names.items()}
    width = own["norm_f.weight"].numel()
    return {**tensors, TABLE: torch.randn(16, width), "lm_head.weight": torch.randn(16, width)}


@pytest.fixture
def network() -> MaskedBases:
    torch.manual_seed(3)
    return network_of(pretraining())


def adopted(tensors: dict[str, Any], folder: Path, name: str = "released.safetensors") -> Path:
    """Write a released file, take it over, and return what models start from."""
    path, out = folder / name, folder / "start.safetensors"
    if name.endswith(".safetensors"):
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    adopt_pretrained(path, pretraining(), out)
    return out


def test_every_base_and_n_has_its_released_hidden_states(
    network: MaskedBases, tmp_path: Path
) -> None:
    tensors = released(network)
    found = {k: torch.tensor(v) for k, v in load_arrays(adopted(tensors, tmp_path)).items()}
    codes = torch.tensor([[0, 1, 2, 3, 4, 4, 3, 0, 0, 2]])
    tokens = tensors[TABLE][codes + BaseEmbedding.FIRST_BASE]
    expected = network.backbone(tokens)
    other = network_of(pretraining())
    assert set(found) == set(other.kept())
    other.load_state_dict(found, strict=False)
    one_hot = torch.cat([torch.eye(4), torch.zeros(1, 4)])[codes]
    torch.testing.assert_close(other.backbone(other.embedding(one_hot)), expected)


def test_shared_projections_may_be_stored_once_and_torch_archives_give_the_same(
    network: MaskedBases, tmp_path: Path
) -> None:
    tensors = released(network)
    whole = sha256(adopted(tensors, tmp_path))
    once = {k: v for k, v in tensors.items() if "mamba_rev.in_proj" not in k}
    assert sha256(adopted(once, tmp_path)) == whole
    assert sha256(adopted({"state_dict": once}, tmp_path, "pytorch_model.bin")) == whole


class Executed:
    """What a pickle that runs a program looks like."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def test_nothing_in_a_torch_archive_is_executed(
    network: MaskedBases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    adopted({**released(network), "config": Executed()}, tmp_path, "model.pt")
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"caduceus.backbone.norm_f.weight": None}, "backbone.norm_f.weight missing"),
        ({"caduceus.backbone.layers.0.mixer.submodule.D": torch.zeros(2)},
         "found layers.0.mixer.submodule.D too many"),
        ({TABLE: torch.zeros(16, 5)}, r"embedding.weight of shape \(8, 4\), .* found \(5, 4\)"),
        ({TABLE: torch.zeros(4, 8)}, "table of at least 12 tokens"),
        ({"caduceus.backbone.layers.0.mixer.mamba_rev.in_proj.weight": torch.zeros(32, 8)},
         "one projection for both directions"),
    ],
)  # fmt: skip
def test_wrong_tensors_are_refused(
    change: dict[str, Any], sentence: str, network: MaskedBases, tmp_path: Path
) -> None:
    tensors = {k: v for k, v in {**released(network), **change}.items() if v is not None}
    with pytest.raises(InputError, match=sentence):
        adopted(tensors, tmp_path)
