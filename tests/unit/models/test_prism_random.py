"""Prism with fixed random masks in the place of learned context weights."""

from __future__ import annotations

import pytest
import torch
from named import build

from prismflow.errors import InputError
from prismflow.models.common import InputSpec
from prismflow.models.prism import Prism, PrismSettings
from prismflow.training.batches import Batch

INPUTS = InputSpec(("h3k27ac", "dnase"), 3, 128)


def model(seed: int = 2, **changes: object) -> Prism:
    """A tiny Prism whose contexts are random masks."""
    torch.manual_seed(seed)
    settings = {**Prism.TINY, "context_source": "random", "n_contexts": 3, **changes}
    return build("prism", settings, {}, INPUTS)


def batch(n: int = 4) -> Batch:
    """Random inputs."""
    torch.manual_seed(9)
    sequence = torch.nn.functional.one_hot(torch.randint(0, 4, (n, 128)), 4).float()
    return Batch(sequence, torch.rand(n, 128, 2), torch.rand(n, 3), torch.rand(n), torch.arange(n))


@pytest.mark.parametrize(("rate", "dropped"), [(0.0, 0), (0.1, 2), (0.5, 8), (0.9, 14), (1.0, 16)])
def test_every_mask_drops_the_share_asked_for(rate: float, dropped: int) -> None:
    weights = model(drop_rate=rate)(batch()).extras["context_weights"]
    assert weights.shape == (4, 16, 3)
    assert set(weights.unique().tolist()) <= {0.0, 1.0}
    assert (weights.sum(dim=1) == 16 - dropped).all()
    assert (weights == weights[:1]).all()


def test_masks_follow_the_seed_and_travel_with_the_weights() -> None:
    one, same, other = model(2), model(2), model(3)
    name = "weight_generator.masks"
    assert torch.equal(one.state_dict()[name], same.state_dict()[name])
    assert not torch.equal(one.state_dict()[name], other.state_dict()[name])
    columns = one.state_dict()[name].T
    assert not torch.equal(columns[0], columns[1])
    other.load_state_dict(one.state_dict())
    assert torch.equal(other(batch()).prediction, one(batch()).prediction)


def test_masks_are_not_trained_and_the_rest_is() -> None:
    prism = model()
    data = batch()
    sum(prism.losses(prism(data), data.target).values()).backward()
    assert not list(prism.weight_generator.parameters())
    assert prism.signal_embedding.weight.grad.abs().sum() > 0


def test_nothing_dropped_is_the_direct_prediction() -> None:
    extras = model(drop_rate=0.0).eval()(batch()).extras
    torch.testing.assert_close(extras["backdoor"], extras["direct"])


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(InputError, match=r"drop_rate must be between 0 and 1, found 1\.5"):
        PrismSettings(drop_rate=1.5)
    with pytest.raises(InputError, match="context_source"):
        PrismSettings(context_source="fixed")
