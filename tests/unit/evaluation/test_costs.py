"""What a model costs: counted operations, measured steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from prismflow.evaluation.costs import (
    _fft_flops,
    flops_per_gene,
    measure_cost,
    mixer_flops,
    random_batch,
)
from prismflow.models.bimamba import Mixer
from prismflow.settings.architectures import class_of
from prismflow.training.inference import build_model

NO_EXTRAS = {"extras": [], "n_elements": 0, "element_bp": 0}


def settings(architecture: str, **hyper: Any) -> dict[str, Any]:
    return {
        "model": architecture,
        "architecture": architecture,
        "class": class_of(architecture),
        "hyperparameters": hyper,
        "loss": {},
        "modalities": ["h3k27ac", "dnase", "hic"] if architecture != "hyena" else [],
        "window_bp": 128,
        "gene_features": ["a", "b"],
        "training": {"batch_size": 2, "steps": 5, "warmup_steps": 1},
    }


def counted(architecture: str, **hyper: Any) -> dict[str, int]:
    chosen = settings(architecture, **hyper)
    batch = random_batch(chosen, NO_EXTRAS, 2, torch.device("cpu"))
    return flops_per_gene(build_model(chosen), batch)


def test_operations_of_a_mixer_are_those_of_the_hand_count() -> None:
    # d 2, D 4, N 3, R 1, W 4: in 32, out 16; convolution 32, parameters 56 + 8, scan 84 + 12.
    one = Mixer(2, d_state=3, d_conv=4, expand=2, dt_rank=1, bidirectional=False)
    two = Mixer(2, d_state=3, d_conv=4, expand=2, dt_rank=1, bidirectional=True)
    assert mixer_flops(one, 10) == 10 * (48 + 192)
    assert mixer_flops(two, 10) == 10 * (48 + 2 * 192)


def test_operations_of_a_plain_network_are_the_counters() -> None:
    chosen = settings("cnn", channels=4, n_layers=1)
    model, batch = build_model(chosen), random_batch(chosen, NO_EXTRAS, 2, torch.device("cpu"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(batch)
    found = flops_per_gene(model, batch)
    assert found == {"training": counter.get_total_flops() // 2,
                     "prediction": counter.get_total_flops() // 2}  # fmt: skip


def test_context_branches_cost_only_in_training() -> None:
    tiny = {"d_model": 8, "n_layers": 1, "d_state": 2, "cnn_channels": 2}
    none, two = counted("prism", n_contexts=0, **tiny), counted("prism", n_contexts=2, **tiny)
    assert none["training"] == none["prediction"] == two["prediction"]
    assert two["training"] > 2.8 * two["prediction"]


def test_fourier_transforms_count() -> None:
    # 3 rows of length 256: 2.5 n log2 n each; forwards from 256 values, backwards to them.
    forwards = _fft_flops((3, 256), [1], out_shape=(3, 129))
    backwards = _fft_flops((3, 129), [1], out_shape=(3, 256))
    assert forwards == backwards == 3 * 2.5 * 256 * 8
    with_convolution = counted("hyena", d_model=8, n_layers=1, filter_width=4)["training"]
    assert with_convolution > 8 * 2.5 * 256 * 8


def test_mixers_work_again_after_counting() -> None:
    chosen = settings("prism", d_model=8, n_layers=1, d_state=2, cnn_channels=2)
    model, batch = build_model(chosen), random_batch(chosen, NO_EXTRAS, 2, torch.device("cpu"))
    model.eval()
    before = model(batch).prediction
    flops_per_gene(model, batch)
    assert torch.equal(before, model(batch).prediction)


@pytest.mark.parametrize("architecture", ["prism", "gbm"])
def test_costs_are_written(architecture: str, tmp_path: Path) -> None:
    tiny = {"d_model": 8, "n_layers": 1, "d_state": 2} if architecture == "prism" else {}
    path = tmp_path / "cost.json"
    shapes = {"n_elements": 0, "element_bp": 0}
    deterministic = torch.get_deterministic_debug_mode()
    try:
        measure_cost(settings(architecture, **tiny), shapes, path, device="cpu")
    finally:
        torch.set_deterministic_debug_mode(deterministic)
    record = json.loads(path.read_text())
    assert record["trained_by_steps"] is (architecture == "prism")
    if architecture == "prism":
        parts = record["parameters_by_part"]
        assert sum(parts.values()) == record["n_parameters"] and parts["weight_generator"] > 0
        assert 0 < record["step_seconds_low"] <= record["step_seconds"]
        assert record["step_seconds"] <= record["step_seconds_high"]
        assert record["step_memory_mib"] >= 0 and record["device"] == "cpu"
