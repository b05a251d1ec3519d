"""Released key layouts map onto every tensor of a network, and back."""

from __future__ import annotations

import pytest
import torch
from make_checkpoint import MODALITIES
from named import build, model_class

from prismflow.errors import InputError
from prismflow.models.common import InputSpec
from prismflow.released.keys import architecture_of, from_released, load_released, released_keys


@pytest.mark.parametrize(
    "architecture",
    ["prism", "caduceus", "caduceus_signals", "mamba", "hyena", "enformer", "epinformer",
     "seq2exp_soft", "seq2exp_hard"],
)  # fmt: skip
def test_layouts_cover_every_tensor_and_come_back(architecture: str) -> None:
    cls = model_class(architecture)
    inputs = InputSpec(MODALITIES if cls.uses_signals else (), 9, 512)
    torch.manual_seed(0)
    model = build(architecture, cls.TINY, {}, inputs)
    mapping = released_keys(model)
    assert set(mapping.values()) == set(model.state_dict())
    state = model.state_dict()
    released = {key: state[ours] for key, ours in mapping.items()}
    family = architecture_of(released)
    assert architecture.startswith(family)
    other = build(architecture, cls.TINY, {}, inputs)
    load_released(other, released, "there")
    assert all(torch.equal(other.state_dict()[name], value) for name, value in state.items())
    released.pop(next(iter(released)))
    with pytest.raises(InputError, match="there: the tensors are not those of"):
        from_released(other, released, "there")
