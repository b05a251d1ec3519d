"""Settings, inputs, pooling and the registry."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch
from named import build, model_class

from prismflow.errors import InputError
from prismflow.models.common import (
    BaseEmbedding,
    ExpressionHead,
    InputSpec,
    center_mean,
    center_slice,
)
from prismflow.settings.architectures import ARCHITECTURES
from prismflow.settings.fields import parse_settings


@dataclass(frozen=True)
class Example:
    width: int = 3
    rate: float = 0.5
    name: str = "a"
    flag: bool = False
    hidden: int | None = None
    widths: tuple[int, ...] = (1, 2)


def test_settings_keep_defaults_and_accept_whole_numbers_as_floats() -> None:
    parsed = parse_settings(Example, {"rate": 1, "hidden": None, "widths": [4, 5]}, "here")
    assert parsed == Example(rate=1.0, widths=(4, 5))
    assert isinstance(parsed.rate, float)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"wdth": 1}, ("here", "wdth", "width, rate, name")),
        ({"width": "3"}, ("here: width", "int", "'3'")),
        ({"width": True}, ("here: width", "int")),
        ({"width": 3.5}, ("here: width", "int", "3.5")),
        ({"flag": 1}, ("here: flag", "bool")),
        ({"hidden": "x"}, ("here: hidden", "int or NoneType")),
    ],
)
def test_wrong_settings_are_refused_by_name(values: dict, words: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as raised:
        parse_settings(Example, values, "here")
    assert all(word in str(raised.value) for word in words)


@pytest.mark.parametrize(
    ("length", "center", "expected"),
    [
        (2000, 2000, (0, 2000)),
        (500, 2000, (0, 500)),
        (1000, 2000, (0, 1000)),
        (1999, 2000, (0, 1999)),
        (2002, 2000, (1, 2001)),
        (2001, 2000, (0, 2000)),
        (7, 3, (2, 5)),
        (1, 1, (0, 1)),
    ],
)
def test_the_centre_never_leaves_the_window(length: int, center: int, expected: tuple) -> None:
    found = center_slice(length, center)
    assert (found.start, found.stop) == expected


def test_center_mean_averages_positions() -> None:
    hidden = torch.arange(24.0).reshape(2, 6, 2)
    assert torch.equal(center_mean(hidden, 2), hidden[:, 2:4].mean(dim=1))
    assert torch.equal(center_mean(hidden, 99), hidden.mean(dim=1))


def test_input_spec_refuses_nonsense() -> None:
    with pytest.raises(InputError, match="must differ"):
        InputSpec(("dnase", "dnase"), 0, 100)
    with pytest.raises(InputError, match="at least 1 bp"):
        InputSpec((), 0, 0)


def test_base_embedding_reads_n_as_its_own_token() -> None:
    embedding = BaseEmbedding(3)
    sequence = torch.zeros(1, 5, 4)
    sequence[0, torch.arange(4), torch.arange(4)] = 1
    assert torch.equal(embedding(sequence)[0], embedding.weight[7:12])


def test_head_works_without_gene_features() -> None:
    head = ExpressionHead(6, 0, 4)
    assert head(torch.ones(2, 6), torch.ones(2, 0)).shape == (2,)


def test_unknown_architecture_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'prsm' is unknown; known are prism, caduceus"):
        model_class("prsm")


def test_sequence_only_architectures_refuse_modalities() -> None:
    with pytest.raises(InputError, match="reads the sequence only, but modalities dnase"):
        build("mamba", {}, {}, InputSpec(("dnase",), 0, 128))


def test_signal_architectures_refuse_their_absence() -> None:
    with pytest.raises(InputError, match="needs at least one modality"):
        build("caduceus_signals", {}, {}, InputSpec((), 0, 128))


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_registered_class_says_what_it_is(architecture: str) -> None:
    cls = model_class(architecture)
    assert cls.architecture == architecture
    parse_settings(cls.Settings, {}, architecture)
    parse_settings(cls.LossWeights, {}, architecture)


def test_the_registry_imports_no_architecture() -> None:
    code = (
        "import sys, prismflow.models; "
        "print([m for m in sys.modules if m == 'torch' or m.startswith('prismflow.models.')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
