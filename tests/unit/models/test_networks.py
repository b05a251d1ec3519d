"""Every network: counts, shapes, training for a few steps, and what is particular to each."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from named import TABULAR, build, model_class

from prismflow.errors import InputError
from prismflow.models.common import ExpressionModel, InputSpec, parameter_count
from prismflow.models.epinformer import window_elements
from prismflow.settings.architectures import ARCHITECTURES
from prismflow.training.batches import Batch

MODALITIES = ("h3k27ac", "dnase", "hic")
NETWORKS = sorted(set(ARCHITECTURES) - TABULAR)
FROZEN = {"signal_constants", "log_signal_weights"}


def make_batch(n: int, length: int, modalities: int, features: int, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    bases = torch.randint(5, (n, length), generator=generator)
    return Batch(
        sequence=torch.cat([torch.eye(4), torch.zeros(1, 4)])[bases],
        signals=torch.rand(n, length, modalities, generator=generator),
        gene_features=torch.rand(n, features, generator=generator),
        target=torch.rand(n, generator=generator),
        rows=torch.arange(n),
        extras={"peak_mask": (torch.rand(n, length, generator=generator) > 0.5).float()},
    )


def tiny(architecture: str, features: int = 2, length: int = 512, **changes) -> ExpressionModel:
    torch.manual_seed(0)
    cls = model_class(architecture)
    names = MODALITIES if cls.uses_signals else ()
    hyper = {**cls.TINY, **changes}
    least = int(cls.learns_from_the_split)  # the regional level
    return build(architecture, hyper, {}, InputSpec(names, max(features, least), length))


def matching_batch(model: ExpressionModel, n: int = 3, length: int = 512, seed: int = 0) -> Batch:
    return make_batch(n, length, len(model.inputs.modalities), model.inputs.n_gene_features, seed)


@pytest.mark.parametrize(
    ("architecture", "hyperparameters", "n_parameters"),
    [
        ("prism", {"n_contexts": 0}, 574_721),
        ("prism", {"n_contexts": 1}, 574_721 + 6_736),
        ("prism", {}, 585_681),
        ("prism", {"n_contexts": 3}, 574_721 + 15_184),
        ("prism", {"n_contexts": 4}, 574_721 + 19_408),
        ("prism", {"n_contexts": 8}, 574_721 + 36_304),
        ("caduceus", {}, 574_209),
        ("caduceus_signals", {}, 574_593),
        ("mamba", {}, 502_401),
        ("seq2exp_soft", {}, 1_114_249),
        ("infer", {}, 585_681),
    ],
)
def test_paper_sizes(architecture: str, hyperparameters: dict, n_parameters: int) -> None:
    names = MODALITIES if model_class(architecture).uses_signals else ()
    with torch.device("meta"):
        model = build(architecture, hyperparameters, {}, InputSpec(names, 9, 2000))
    assert parameter_count(model) == n_parameters


@pytest.mark.parametrize("window_bp", [2000, 2500])
def test_isegnet_has_the_layers_of_its_source(window_bp: int) -> None:
    """Counted by hand from its description; two paddings of 19 and 9 lose 10 positions."""
    with torch.device("meta"):
        model = build("isegnet", {}, {}, InputSpec(MODALITIES, 9, window_bp))
    towers = sum(20 * 32 * n + 2 * 32 + 20 * 32 * 64 + 2 * 64 for n in (4, 3))
    joined = 4 * 64 * 126 + 126 + 2 * 126 + 126 * 64 + 64 + 2 * 64
    widths = (64 * ((window_bp - 10) // 5 // 5) + 9, 256, 64, 16)
    dense = sum((a + 1) * b + 2 * b for a, b in itertools.pairwise(widths)) + 16 + 1
    assert parameter_count(model) == towers + joined + dense


def test_isegnet_reports_no_negative_expression_and_penalises_its_towers() -> None:
    model = tiny("isegnet", output_relu=True).eval()
    batch = matching_batch(model)
    with torch.no_grad():
        model.head[-1].bias.fill_(-100.0)
        assert model(batch).prediction.eq(0).all()
        before = model.losses(model(batch), batch.target)["l2"]
        for tower in (model.sequence_tower, model.signal_tower):
            tower[1].weight.mul_(2)
            tower[6].weight.mul_(2)
        after = model.losses(model(batch), batch.target)["l2"]
    torch.testing.assert_close(after, 4 * before)


@pytest.mark.parametrize(
    ("changes", "window_bp", "sentence"),
    [
        ({"kernel": 10}, 512, "kernel must be a multiple of 4, found 10"),
        ({"dropout": 1.0}, 512, "dropout must be in"),
        ({"d_hidden": []}, 512, "d_hidden must be widths"),
        ({}, 30, "needs windows of at least 35 bp, found window_bp 30"),
    ],
)
def test_isegnet_says_what_it_cannot_be(changes: dict, window_bp: int, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        build("isegnet", changes, {}, InputSpec(MODALITIES, 0, window_bp))


def test_infer_is_prism_with_the_average_of_predictions_reported() -> None:
    model = tiny("infer").eval()
    prism = tiny("prism", reported="backdoor", intervention_average="prediction").eval()
    batch = matching_batch(model)
    with torch.no_grad():
        output, expected = model(batch), prism(batch)
    assert torch.equal(output.prediction, expected.prediction)
    assert torch.equal(output.prediction, output.extras["backdoor_prediction"])
    assert not torch.equal(output.prediction, output.extras["direct"])


def test_paper_size_of_the_hard_variant_is_its_table_of_positions() -> None:
    with torch.device("meta"):
        model = build("seq2exp_hard", {}, {}, InputSpec(MODALITIES, 9, 200_000))
    assert parameter_count(model) == 26_174_985


def test_paper_size_enformer_has_3072_embeddings() -> None:
    with torch.device("meta"):
        model = build("enformer", {}, {}, InputSpec((), 9, 200_000))
    assert model.head.layers[0].in_features == 3072 + 9
    assert model.settings.widths == [768, 768, 896, 1024, 1152, 1280, 1536]


@pytest.mark.parametrize("architecture", NETWORKS)
@pytest.mark.parametrize("features", [0, 2])
def test_trains_for_a_few_steps(architecture: str, features: int) -> None:
    model = tiny(architecture, features)
    batch = matching_batch(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    reached = set()
    for step in range(3):
        torch.manual_seed(step)
        losses = model.losses(model(batch), batch.target)
        optimiser.zero_grad()
        sum(losses.values()).backward()
        assert all(torch.isfinite(value) for value in losses.values())
        for name, parameter in model.named_parameters():
            if parameter.grad is not None and parameter.grad.abs().max() > 0:
                reached.add(name)
        optimiser.step()
    assert {n for n, _ in model.named_parameters()} - reached == FROZEN & set(model.state_dict())


@pytest.mark.parametrize("architecture", NETWORKS)
def test_output_shapes_and_reported_prediction(architecture: str) -> None:
    model = tiny(architecture).eval()
    batch = matching_batch(model, n=2)
    with torch.no_grad():
        output = model(batch)
        alone = model.reported_prediction(batch)
    assert output.prediction.shape == (2,)
    assert all(value.shape[0] == 2 for value in output.extras.values())
    torch.testing.assert_close(alone, output.prediction)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_low_precision_is_near_full_precision(architecture: str) -> None:
    model = tiny(architecture).eval()
    batch = matching_batch(model)
    with torch.no_grad():
        full = model(batch).prediction
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model(batch)
            total = sum(model.losses(output, batch.target).values())
    assert total.dtype == torch.float32
    torch.testing.assert_close(output.prediction.float(), full, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_equal_seeds_give_equal_weights(architecture: str) -> None:
    first, second = tiny(architecture).state_dict(), tiny(architecture).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    "architecture", sorted(set(NETWORKS) - {"hyena", "isegnet", "mamba", "enformer"})
)
def test_biases_start_at_zero_where_they_do_in_the_released_code(architecture: str) -> None:
    model = tiny(architecture)
    if architecture in ("cnn", "epinformer"):
        assert model.head.layers[0].bias.abs().max() > 0
        return
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and module.bias is not None:
            assert ("dt_proj" in name) == bool(module.bias.abs().max() > 0), name


@pytest.mark.parametrize("architecture", ["hyena", "mamba", "enformer"])
def test_heads_that_keep_torch_biases(architecture: str) -> None:
    assert tiny(architecture).head.layers[0].bias.abs().max() > 0


@pytest.mark.parametrize("architecture", ["prism", "caduceus_signals", "seq2exp_soft"])
@pytest.mark.parametrize("names", [("hic",), ("dnase", "h3k27ac")])
def test_any_subset_of_modalities(architecture: str, names: tuple[str, ...]) -> None:
    hyper = model_class(architecture).TINY
    model = build(architecture, hyper, {}, InputSpec(names, 1, 256))
    assert model(make_batch(2, 256, len(names), 1)).prediction.shape == (2,)


@pytest.mark.parametrize("architecture", ["prism", "caduceus", "mamba", "hyena", "seq2exp_hard"])
def test_shorter_windows_are_accepted(architecture: str) -> None:
    model = tiny(architecture).eval()
    with torch.no_grad():
        assert torch.isfinite(model(matching_batch(model, length=96)).prediction).all()


# ---- Prism


def test_prism_without_contexts_has_no_generator_and_one_loss() -> None:
    model = tiny("prism", n_contexts=0)
    batch = matching_batch(model)
    output = model(batch)
    assert model.weight_generator is None
    assert set(output.extras) == {"direct"}
    assert set(model.losses(output, batch.target)) == {"prediction"}


def test_prism_zero_loss_weights_keep_the_generator() -> None:
    inputs = InputSpec(MODALITIES, 2, 512)
    cls = model_class("prism")
    plain = build("prism", cls.TINY, {}, inputs)
    switched = build("prism", cls.TINY, {"intervention": 0, "uniform": 0}, inputs)
    assert parameter_count(plain) == parameter_count(switched)
    batch = matching_batch(switched)
    losses = switched.losses(switched(batch), batch.target)
    assert losses["intervention"] == 0
    assert losses["uniform"] == 0


def test_prism_branches_are_those_of_separate_passes() -> None:
    model = tiny("prism").double().eval()
    batch = matching_batch(model)
    batch = Batch(
        batch.sequence.double(), batch.signals.double(), batch.gene_features.double(), None,
        batch.rows, {},
    )  # fmt: skip
    with torch.no_grad():
        output = model(batch)
        e, h = model.sequence_embedding(batch.sequence), model.signal_embedding(batch.signals)
        weights = model.weight_generator(batch.signals)
        pooled = [
            model.backbone(e + h * weights[:, None, :, i])[:, 206:306].mean(dim=1) for i in range(2)
        ]
        expected = model.head((pooled[0] + pooled[1]) / 2, batch.gene_features)
        averaged = sum(model.head(p, batch.gene_features) for p in pooled) / 2
        torch.testing.assert_close(output.extras["backdoor"], expected, rtol=1e-12, atol=0)
        other = build(
            "prism",
            {**model.TINY, "intervention_average": "prediction", "reported": "backdoor"},
            {},
            model.inputs,
        )
        other.load_state_dict(model.state_dict())
        output = other.double().eval()(batch)
    torch.testing.assert_close(output.prediction, averaged, rtol=1e-12, atol=0)
    assert output.prediction is output.extras["backdoor"]


def test_prism_softmax_weights_sum_to_one_over_features() -> None:
    model = tiny("prism", weight_activation="softmax", n_contexts=3)
    weights = model(matching_batch(model)).extras["context_weights"]
    assert weights.shape == (3, 16, 3)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3, 3))


def test_prism_windows_must_survive_the_pooling() -> None:
    inputs = InputSpec(MODALITIES, 0, 63)
    with pytest.raises(InputError, match=r"at least 64 bp, found window_bp 63"):
        build("prism", {}, {}, inputs)
    model = tiny("prism")
    with pytest.raises(InputError, match=r"at least 64 bp, found 40"):
        model(matching_batch(model, length=40))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_contexts": -1}, "n_contexts must be 0 or more"),
        ({"n_contexts": 0, "reported": "backdoor"}, "nothing to average over"),
        ({"weight_activation": "relu"}, "sigmoid, softmax, found 'relu'"),
        ({"d_model": 0}, "d_model must be greater than 0"),
    ],
)
def test_prism_refuses_settings_that_cannot_be(changes: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        tiny("prism", **changes)


# ---- Seq2Exp and the peak mask


def test_seq2exp_mask_keeps_the_centre_and_drops_the_blacklist() -> None:
    model = tiny("seq2exp_soft").eval()
    batch = matching_batch(model)
    batch.extras["blacklist"] = torch.zeros(3, 512, dtype=torch.bool)
    batch.extras["blacklist"][:, :250] = True
    with torch.no_grad():
        mask = model(batch).extras["mask"]
    assert (mask[:, 224:288] == 1).all()
    assert (mask[:, :224] == 0).all()
    assert ((mask[:, 288:] > 0) & (mask[:, 288:] < 1)).all()


@pytest.mark.parametrize("architecture", ["seq2exp_soft", "seq2exp_hard"])
def test_seq2exp_draws_follow_the_generator(architecture: str) -> None:
    model = tiny(architecture)
    batch = matching_batch(model)
    draws = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        draws.append(model(batch).extras["mask"].detach())
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_seq2exp_weights_are_rescaled_on_subsets() -> None:
    inputs = InputSpec(("hic", "dnase"), 0, 256)
    model = build("seq2exp_soft", model_class("seq2exp_soft").TINY, {}, inputs)
    torch.testing.assert_close(model.log_signal_weights.exp(), torch.tensor([1 / 3, 2 / 3]))
    assert model.signal_constants.tolist() == pytest.approx([1.0, 0.2])


def test_seq2exp_asks_for_constants_of_new_modalities() -> None:
    inputs = InputSpec(("dnase", "h3k4me3"), 0, 256)
    hyper = model_class("seq2exp_soft").TINY
    with pytest.raises(InputError, match="none for h3k4me3"):
        build("seq2exp_soft", hyper, {}, inputs)
    extra = {"signal_constants": {"h3k4me3": 1.0}, "signal_weights": {"h3k4me3": 1.0}}
    build("seq2exp_soft", {**hyper, **extra}, {}, inputs)


def test_seq2exp_hard_gives_the_mask_no_gradient_from_the_prediction() -> None:
    model = tiny("seq2exp_hard")
    batch = matching_batch(model)
    losses = model.losses(model(batch), batch.target)
    losses["prediction"].backward(retain_graph=True)
    assert model.mask_output.weight.grad is None or model.mask_output.weight.grad.abs().max() == 0
    losses["kl"].backward()
    assert model.mask_output.weight.grad.abs().max() > 0


def test_seq2exp_hard_can_be_made_independent_of_the_batch() -> None:
    model = tiny("seq2exp_hard", isolate_samples=True).eval()
    batch = matching_batch(model)
    alone = Batch(
        batch.sequence[:1], batch.signals[:1], batch.gene_features[:1], None, batch.rows[:1], {}
    )
    with torch.no_grad():
        torch.testing.assert_close(model(batch).prediction[:1], model(alone).prediction)


def test_seq2exp_hard_takes_the_centre_of_its_positions_for_shorter_windows() -> None:
    model = tiny("seq2exp_hard")
    with torch.no_grad():
        model.positions.copy_(torch.arange(512.0).unsqueeze(1).expand(-1, 16))
        model.sequence_embedding.weight.zero_()
        model.signal_embedding.weight.zero_()
        embedded, _ = model.embed(matching_batch(model, length=100))
    assert embedded[0, :, 0].tolist() == list(range(206, 306))
    with pytest.raises(InputError, match="up to 512 bp, found 600"):
        model.embed(matching_batch(model, length=600))


def test_peak_mask_needs_peaks_and_hides_the_rest() -> None:
    model = tiny("peak_mask").eval()
    batch = matching_batch(model)
    changed = copy.deepcopy(batch)
    changed.signals[batch.extras["peak_mask"] == 0] += 1
    with torch.no_grad():
        torch.testing.assert_close(model(batch).prediction, model(changed).prediction)
    batch.extras.clear()
    with pytest.raises(InputError, match="needs the dataset's peaks"):
        model(batch)


# ---- Hyena, Enformer, EPInformer


def test_hyena_refuses_windows_beyond_its_filters() -> None:
    model = tiny("hyena", length=128)
    with pytest.raises(InputError, match="up to 130 bp, found 200"):
        model(matching_batch(model, length=200))


def test_hyena_is_causal_before_pooling() -> None:
    model = tiny("hyena").eval()
    batch = matching_batch(model, n=1)
    changed = batch.sequence.clone()
    changed[:, 300:] = changed[:, 300:].roll(1, dims=-1)
    with torch.no_grad():
        first, second = model.encode(batch.sequence), model.encode(changed)
    torch.testing.assert_close(first[:, :300], second[:, :300], rtol=1e-3, atol=1e-4)
    assert (first[:, 300:] - second[:, 300:]).abs().max() > 1e-2


def test_enformer_reads_whole_bins_of_the_centre() -> None:
    model = tiny("enformer", length=700)
    assert model.crop(torch.zeros(1, 700, 4)).shape[1] == 696
    assert model.embeddings(torch.zeros(1, 700, 4)).shape == (1, 16, 48)
    with pytest.raises(InputError, match="at least 16 bp, found 10"):
        model.crop(torch.zeros(1, 10, 4))


def test_epinformer_takes_given_elements() -> None:
    model = tiny("epinformer").eval()
    batch = matching_batch(model)
    batch.extras["elements"] = torch.rand(3, 4, 400, 4)
    batch.extras["element_features"] = torch.rand(3, 4, 3)
    with torch.no_grad():
        given = model(batch).prediction
        batch.extras["elements"][:, 2:] = 0
        absent = model(batch).prediction
        batch.extras["element_features"][:, 2:] += 1
        features_of_absent = model(batch).prediction
    assert (given - absent).abs().max() > 0
    torch.testing.assert_close(absent, features_of_absent)
    batch.extras["elements"] = torch.rand(3, 4, 500, 4)
    with pytest.raises(InputError, match="elements of 400 bp, found 500"):
        model(batch)


def test_window_elements_are_the_most_active_tiles_nearest_first() -> None:
    signals = torch.zeros(1, 50, 2)
    for tile, level in ((0, 9.0), (1, 1.0), (3, 4.0), (4, 4.0)):
        signals[:, 10 * tile : 10 * tile + 10] = level
    sequence = torch.zeros(1, 50, 4)
    sequence[..., 0] = torch.arange(50) // 10
    elements, features = window_elements(sequence, signals, ("h3k27ac", "dnase"), 3, 10)
    assert elements[0, :, 0, 0].tolist() == [2, 3, 0, 4]
    assert features[0, :, 0].tolist() == pytest.approx([0, 0.01, -0.02, 0.02])
    assert features[0, :, 2].tolist() == pytest.approx([0, 4, 9, 4])


def test_window_elements_of_a_short_window_are_its_promoter_alone() -> None:
    elements, features = window_elements(torch.ones(2, 6, 4), torch.ones(2, 6, 0), (), 5, 10)
    assert elements.shape == (2, 1, 10, 4)
    assert elements[0, :, :, 0].sum() == 6
    assert features.shape == (2, 1, 3)
