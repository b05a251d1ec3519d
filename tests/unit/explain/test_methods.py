"""What contributions, substitutions, occlusions and context weights say about known networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from prismflow.explain.baselines import make_baseline
from prismflow.explain.contexts import context_effects
from prismflow.explain.gradients import COMPLETE, integrated_gradients
from prismflow.explain.occlusion import bins_of, occlusions
from prismflow.explain.substitutions import base_importance, substitutions
from prismflow.explain.trained import Trained, soften_bases
from prismflow.models.common import BaseEmbedding

ARCHITECTURES = ("prism", "cnn", "caduceus", "caduceus_signals", "mamba")


@pytest.mark.parametrize("kind", ["mean", "zero"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_contributions_add_up_to_the_difference_of_predictions(opened, architecture, kind) -> None:
    trained = opened(architecture)
    baseline = make_baseline(trained, kind)
    for row in trained.split.rows["test"][:4].tolist():
        for output in trained.outputs:
            found = integrated_gradients(trained, trained.gene(row), baseline, output, 50)
            total = found.sequence.sum(dtype=float) + found.signals.sum(dtype=float)
            difference = found.prediction - found.reference
            assert abs(total - difference) <= 0.01 * max(abs(difference), 0.05)
            assert found.error <= COMPLETE == 0.01


def test_the_prediction_that_is_explained_is_the_one_that_is_reported(opened) -> None:
    trained = opened("prism")
    gene = trained.gene(int(trained.split.rows["test"][0]))
    both = trained.predict(gene, gene.sequence[None], gene.signals[None])[0]
    baseline = make_baseline(trained, "mean")
    for number, output in enumerate(trained.outputs):
        found = integrated_gradients(trained, gene, baseline, output, 2)
        assert found.prediction == pytest.approx(both[number], abs=1e-5)


def test_a_softened_table_of_bases_gives_its_own_rows_for_real_bases_and_for_n() -> None:
    torch.manual_seed(1)
    table, sequence = BaseEmbedding(6), torch.eye(5, 4)[torch.tensor([[0, 1, 2, 3, 4]])]
    rows = table(sequence)
    soften_bases(torch.nn.ModuleList([table]))
    assert torch.allclose(table(sequence), rows, atol=1e-6)
    half = table((sequence[:, :1] + sequence[:, 1:2]) / 2)
    assert torch.allclose(half, (rows[:, :1] + rows[:, 1:2]) / 2, atol=1e-6)


@pytest.mark.parametrize("architecture", ["prism", "mamba"])
def test_substitutions_equal_predictions_made_one_by_one(opened, architecture) -> None:
    trained = opened(architecture)
    gene = trained.gene(3)
    effects = substitutions(trained, gene)
    own = trained.predict(gene, gene.sequence[None], gene.signals[None])[0]
    unknown = np.flatnonzero(gene.codes == 4)
    assert len(unknown) == 10
    assert np.isnan(effects[:, unknown]).all()
    for place, base in ((0, 0), (50, 1), (64, 2), (127, 3)):
        changed = gene.sequence.clone()
        changed[place] = torch.eye(4)[base]
        alone = trained.predict(gene, changed[None], gene.signals[None])[0] - own
        assert effects[:, place, base] == pytest.approx(alone, abs=2e-6)
    assert np.abs(np.nan_to_num(effects)).max() > 1e-6


def test_the_size_of_a_pass_bounds_its_windows_and_changes_no_result(opened, monkeypatch) -> None:
    sizes = []
    predict = Trained.predict

    def counting(self, gene, sequence, signals):
        sizes.append(len(sequence))
        return predict(self, gene, sequence, signals)

    monkeypatch.setattr(Trained, "predict", counting)
    found = []
    for pass_bp in (128 * 3 * 2, 128 * 3 * 50):  # three branches of 128 bp per window
        sizes.clear()
        trained = opened("prism", pass_bp)
        found.append(substitutions(trained, trained.gene(3)))
        assert max(sizes) == pass_bp // (128 * 3)
    assert np.allclose(*found, atol=2e-6, equal_nan=True)


def test_importance_of_a_base_is_minus_the_mean_of_its_substitutions() -> None:
    effects = np.array([[0.0, -3.0, -1.0, -2.0], [np.nan] * 4], np.float32)
    assert base_importance(effects) == pytest.approx([2.0, np.nan], nan_ok=True)


def test_occlusion_is_the_prediction_minus_that_without_the_input(opened) -> None:
    trained = opened("prism")
    gene, baseline = trained.gene(3), make_baseline(trained, "zero")
    table = occlusions(trained, gene, baseline, 48)
    assert len(table) == 4 * (1 + 3)
    own = trained.predict(gene, gene.sequence[None], gene.signals[None])[0]
    without = gene.signals.clone()
    without[48:96, 1] = 0
    row = table[(table["input"] == "dnase") & (table["start"] == 48)].iloc[0]
    alone = own - trained.predict(gene, gene.sequence[None], without[None])[0]
    assert [row["direct"], row["backdoor"]] == pytest.approx(alone.tolist(), abs=2e-6)


def test_bins_cover_a_window_once() -> None:
    assert bins_of(128, 50) == [(0, 50), (50, 100), (100, 128)]


def test_contributions_of_context_weights_lead_from_the_direct_to_the_backdoor_output(
    opened,
) -> None:
    # With all weights at 1 every branch is the un-intervened one.
    trained = opened("prism")
    gene = trained.gene(3)
    table = context_effects(trained, gene, 100)
    direct, backdoor = trained.predict(gene, gene.sequence[None], gene.signals[None])[0]
    difference = backdoor - direct
    error = abs(table["contribution"].sum() - difference)
    assert error <= 0.01 * max(abs(difference), 0.05)
    assert abs(table["contribution"]).max() > 1e-6
    assert table.groupby("context")["removed"].nunique().tolist() == [1, 1]


def test_asking_about_contexts_leaves_the_model_as_it_was(opened) -> None:
    trained = opened("prism")
    gene = trained.gene(3)
    before = trained.predict(gene, gene.sequence[None], gene.signals[None])
    context_effects(trained, gene, 5)
    assert (trained.predict(gene, gene.sequence[None], gene.signals[None]) == before).all()


def test_the_mean_baseline_is_that_of_training_genes(opened) -> None:
    trained = opened("cnn")
    baseline = make_baseline(trained, "mean")
    rows = trained.split.rows["train"]
    assert np.allclose(
        baseline.signals.numpy(), trained.inputs.signals(rows).mean(axis=0), atol=1e-5
    )
    shares = (trained.inputs.codes(rows)[:, :, None] == np.arange(4)).mean(axis=0)
    assert np.allclose(baseline.sequence.numpy(), shares, atol=1e-6)
