"""Prism's settings beyond the paper: contexts of some signals, and contexts of other genes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from named import build

from prismflow.errors import InputError
from prismflow.models.common import InputSpec
from prismflow.models.prism import Prism, SampledSignals
from prismflow.training.batches import Batch

MODALITIES = ("h3k27ac", "dnase", "hic")
BACKGROUND = ["dnase", "hic"]


def make_model(modalities: tuple[str, ...] = MODALITIES, **changes) -> Prism:
    torch.manual_seed(3)
    return build("prism", {**Prism.TINY, **changes}, {}, InputSpec(modalities, 2, 128))


def make_batch(n: int = 5, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    bases = torch.randint(4, (n, 128), generator=generator)
    return Batch(
        sequence=torch.eye(4)[bases],
        signals=torch.rand(n, 128, 3, generator=generator),
        gene_features=torch.rand(n, 2, generator=generator),
        target=torch.rand(n, generator=generator),
        rows=torch.arange(n),
    )


def with_background_of(batch: Batch, order: list[int]) -> Batch:
    signals = batch.signals.clone()
    signals[:, :, 1:] = batch.signals[order][:, :, 1:]
    return dataclasses.replace(batch, signals=signals)


def trained_once(model: Prism, batch: Batch) -> Prism:
    with torch.no_grad():
        model.train()(batch)
    return model.eval()


def test_naming_every_signal_is_the_paper_model() -> None:
    paper, named = make_model(), make_model(context_modalities=list(MODALITIES))
    assert paper.state_dict().keys() == named.state_dict().keys()
    batch = make_batch()
    for train in (True, False):
        ours, theirs = (model.train(train)(batch).extras for model in (paper, named))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_contexts_of_the_background_leave_the_other_signal_alone() -> None:
    model, batch = make_model(context_modalities=BACKGROUND).eval(), make_batch()
    inputs, weights = model.branches(batch)
    assert weights.shape == (5, 16, 2)
    embedded = model.sequence_embedding(batch.sequence) + model.signal_embedding(batch.signals)
    torch.testing.assert_close(inputs[:, 0], embedded)
    # What a branch changes is the background's share of the embedding, times weights below one.
    share = batch.signals[:, :, 1:] @ model.signal_embedding.weight[:, 1:].T
    for i in range(2):
        torch.testing.assert_close(
            inputs[:, i + 1], embedded - share * (1 - weights[:, None, :, i])
        )
    # The weights are made from the background alone, too.
    other = dataclasses.replace(batch, signals=batch.signals.clone())
    other.signals[:, :, 0] += 1
    assert torch.equal(model.branches(other)[1], weights)


def test_sampled_contexts_are_those_of_the_next_genes_in_training() -> None:
    model = make_model(context_modalities=BACKGROUND, context_source="sampled").train()
    batch = make_batch()
    inputs, weights = model.branches(batch)
    assert weights is None
    assert inputs.shape == (5, 3, 128, 16)
    for i, order in ((1, [1, 2, 3, 4, 0]), (2, [2, 3, 4, 0, 1])):
        moved = with_background_of(batch, order)
        embedded = model.sequence_embedding(moved.sequence) + model.signal_embedding(moved.signals)
        torch.testing.assert_close(inputs[:, i], embedded)
    terms = model.losses(model(batch), batch.target)
    assert set(terms) == {"prediction", "intervention"}


def test_sampled_backdoor_does_not_read_the_own_background_and_direct_does() -> None:
    model = make_model(context_modalities=BACKGROUND, context_source="sampled", reported="backdoor")
    batch = make_batch()
    trained_once(model, batch)
    changed = with_background_of(batch, [4, 3, 2, 1, 0])
    with torch.no_grad():
        before, after = model(batch), model(changed)
        torch.testing.assert_close(before.prediction, after.prediction)
        assert (before.extras["direct"] - after.extras["direct"]).abs().max() > 1e-4
        # A prediction depends on no other gene of the test.
        alone = dataclasses.replace(
            batch, **{k: getattr(batch, k)[:1] for k in ("sequence", "signals", "gene_features")}
        )
        torch.testing.assert_close(model(alone).prediction, before.prediction[:1])


def sampled(**changes) -> Prism:
    return make_model(context_modalities=BACKGROUND, context_source="sampled", **changes)


def test_sampled_contexts_travel_with_the_weights_and_fit_shorter_windows() -> None:
    model, batch = sampled(n_bank=3), make_batch()
    trained_once(model, batch)
    assert torch.equal(model.state_dict()["sampled_signals.bank"], batch.signals[:3, :, 1:])
    again = sampled(n_bank=3).eval()
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(again(batch).extras["backdoor"], model(batch).extras["backdoor"])
    assert torch.equal(model.sampled_signals.central(100), batch.signals[:3, 14:114, 1:])


def test_the_bank_holds_the_last_genes_of_the_training_and_its_size_trains_no_other_model() -> None:
    batches = [make_batch(seed=seed) for seed in range(3)]
    small, large = sampled(n_bank=2), sampled(n_bank=7)
    for batch in batches:
        outputs = [model.train()(batch) for model in (small, large)]
        assert torch.equal(outputs[0].prediction, outputs[1].prediction)
        assert torch.equal(outputs[0].extras["backdoor"], outputs[1].extras["backdoor"])
    shown = torch.cat([batch.signals[:, :, 1:] for batch in batches])
    bank = large.sampled_signals.central(128)
    assert {row.sum().item() for row in bank} == {row.sum().item() for row in shown[-7:]}


def test_a_bank_that_is_not_full_averages_over_what_it_holds() -> None:
    model, batch = (
        sampled(n_bank=48, reported="backdoor", intervention_average="prediction"),
        make_batch(),
    )
    trained_once(model, batch)
    with torch.no_grad():
        found = model(batch).extras
        each = []
        for i in range(5):
            moved = with_background_of(batch, [i] * 5)
            each.append(model(moved).extras["direct"])
    torch.testing.assert_close(found["backdoor"], torch.stack(each).mean(dim=0))
    error = torch.stack(each).std(dim=0) / 5**0.5
    torch.testing.assert_close(found["backdoor_error"], error)
    assert "backdoor_error" not in make_model().eval()(batch).extras


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_last_batch_of_few_genes_pairs_no_gene_with_itself(size: int) -> None:
    drawn = SampledSignals(3, 4, 8, 1).train()
    before = torch.full((4, 8, 1), -1.0)
    drawn(before)
    own = torch.arange(size).float().view(-1, 1, 1).expand(-1, 8, 1)
    others = drawn(own)
    assert others.shape == (size, 3, 8, 1)
    assert not (others == own.unsqueeze(1)).any()
    with pytest.raises(InputError, match=r"at least 2 genes .* found 1"):
        SampledSignals(3, 4, 8, 1).train()(own[:1])


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("others", [BACKGROUND, list(MODALITIES)])
def test_what_is_removed_leaks_exactly_nothing_in_any_precision(
    precision: torch.dtype, others: list[str]
) -> None:
    model, batch = make_model(context_modalities=others, context_source="sampled"), make_batch()
    trained_once(model, batch)
    changed = dataclasses.replace(batch, signals=batch.signals.clone())
    changed.signals[:, :, 1] *= 500
    low = precision == torch.bfloat16
    with torch.no_grad(), torch.autocast("cpu", dtype=precision, enabled=low):
        before, after = (model.branches(some)[0] for some in (batch, changed))
        assert torch.equal(before[:, 1:], after[:, 1:])
        assert (before[:, 0] - after[:, 0]).abs().max() > 1
        backdoor = [model(some).extras["backdoor_prediction"] for some in (batch, changed)]
    assert torch.equal(*backdoor)


def test_signals_that_the_model_does_not_read_are_refused() -> None:
    with pytest.raises(InputError, match=r"h3k27ac, dnase, hic\), found atac"):
        make_model(context_modalities=["dnase", "atac"])
    with pytest.raises(InputError, match="found an empty list"):
        make_model(context_modalities=[])
