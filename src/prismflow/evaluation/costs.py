"""Parameters, arithmetic, time and memory of one model at its configured size (paper, Table 3).

Time and memory are those of whole training steps on random inputs of the configured shapes, on
the device of the run; arithmetic is counted from the shapes.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from prismflow.files import write_json
from prismflow.jobs.patches.fourier import transform_operations
from prismflow.models import class_of
from prismflow.models.bimamba import Direction, Mixer
from prismflow.models.common import ExpressionModel, parameter_count
from prismflow.settings.fields import parse_settings
from prismflow.settings.training import TrainingSettings
from prismflow.training.batches import Batch
from prismflow.training.cuda_graph import COMPARED_STEPS, EAGER_STEPS, CapturedStep, make_capturable
from prismflow.training.determinism import prepare_device
from prismflow.training.devices import describe_device
from prismflow.training.inference import build_model
from prismflow.training.loop import accumulate_gradients
from prismflow.training.optimiser import clip_gradients, make_optimiser

logger = logging.getLogger(__name__)

WARMUP_STEPS = 2
MEASURED_STEPS = 5
GRAPH_BP = 8192
"""Up to this window a split of genes fits on a device, and training replays its step as a graph."""
_MIB = 2**20


def random_batch(
    settings: Mapping[str, Any], shapes: Mapping[str, Any], size: int, device: torch.device
) -> Batch:
    """A batch of random genes in the shapes of a model's settings.

    Args:
        settings: resolved settings of the model.
        shapes: ``extras``: names of further inputs; ``n_elements``, ``element_bp``.
        size: genes.
        device: where the tensors are made.
    """
    generator = torch.Generator().manual_seed(0)
    length, n_signals = settings["window_bp"], len(settings["modalities"])

    def bases(*shape: int) -> Tensor:
        codes = torch.randint(0, 4, shape, generator=generator)
        return nn.functional.one_hot(codes, 4).float().to(device)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator).to(device)

    makers = {
        "peak_mask": lambda: (uniform(size, length) < 0.15).float(),
        "elements": lambda: bases(size, 1 + shapes["n_elements"], shapes["element_bp"]),
        "element_features": lambda: uniform(size, 1 + shapes["n_elements"], 3),
    }
    return Batch(
        sequence=bases(size, length),
        signals=uniform(size, length, n_signals),
        gene_features=uniform(size, len(settings["gene_features"])),
        target=uniform(size),
        rows=torch.arange(size, device=device),
        extras={name: makers[name]() for name in shapes["extras"]},
    )


def mixer_flops(mixer: Mixer, positions: int) -> int:
    """Operations of one Mamba mixer over ``positions``, a multiply-add counted as two.

    Per position with d inputs, D inner channels, N states, R step rank, W taps: projections
    6 d D; per direction 2 W D for the convolution, 2 D (R + 2 N) and 2 R D for the input-dependent
    parameters, and for the scan 7 D N (step times A, its exponential, input times B, product and
    sum of the recurrence, product with C and its sum) plus 3 D (step times input, skip).
    """
    d_inner, d_model = (
        mixer.mamba_fwd.in_proj.weight.shape[0] // 2,
        mixer.mamba_fwd.in_proj.weight.shape[1],
    )
    total = 6 * d_model * d_inner
    for direction in mixer.directions:
        total += _direction_flops(direction, d_inner)
    return total * positions


def _direction_flops(direction: Direction, d_inner: int) -> int:
    states, rank = direction.d_state, direction.dt_rank
    taps = direction.conv1d.kernel_size[0]
    parameters = 2 * d_inner * (rank + 2 * states) + 2 * rank * d_inner
    return 2 * taps * d_inner + parameters + 7 * d_inner * states + 3 * d_inner


@contextlib.contextmanager
def _counted_mixers(model: nn.Module) -> Iterator[list[int]]:
    """Replace the mixers, whose compiled kernels no counter sees, by their formula."""
    counts: list[int] = []
    mixers = [module for module in model.modules() if isinstance(module, Mixer)]

    def stand_in(mixer: Mixer, hidden: Tensor) -> Tensor:
        counts.append(mixer_flops(mixer, hidden.shape[0] * hidden.shape[1]))
        return hidden

    for mixer in mixers:
        mixer.forward = functools.partial(stand_in, mixer)  # type: ignore[method-assign]  # put back
    try:
        yield counts
    finally:
        for mixer in mixers:
            del mixer.forward


def _fft_flops(shape: Any, dims: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """2.5 n log2 n per real transform of length n (half of the complex transform's 5 n log2 n)."""
    longest = list(shape if len(shape) and shape[dims[0]] >= out_shape[dims[0]] else out_shape)
    n = longest[dims[0]]
    n_transforms = 1
    for size in longest:
        n_transforms *= size
    return int(2.5 * n_transforms * max(1, n.bit_length() - 1))


def flops_per_gene(model: ExpressionModel, batch: Batch) -> dict[str, int]:
    """Operations per gene of the forward pass in training, and of a prediction alone.

    Counted are products, convolutions, Fourier transforms and scans; element-wise work other than
    the scan's (norms, activations, gates) is not.
    """
    transforms = dict.fromkeys(transform_operations(), _fft_flops)
    training = model.training
    model.eval()
    counted = {}
    functions: dict[str, Callable[[Batch], Any]] = {
        "training": model, "prediction": model.reported_prediction,
    }  # fmt: skip
    for name, function in functions.items():
        with torch.no_grad(), _counted_mixers(model) as mixers:
            counter = FlopCounterMode(display=False, custom_mapping=transforms)
            with counter:
                function(batch)
        counted[name] = (counter.get_total_flops() + sum(mixers)) // batch.rows.numel()
    model.train(training)
    return counted


def measure_steps(
    model: ExpressionModel, batch: Batch, training: TrainingSettings, device: torch.device
) -> dict[str, float]:
    """Median seconds of a training step, and the memory that steps add to the model's.

    On a CUDA device memory is the peak of allocated tensors, the model's included; on a CPU the
    growth of the process's peak over the state before the first step.
    """
    model.train()
    optimiser = make_optimiser(model, training.learning_rate, training.betas, training.weight_decay)
    parameters = [p for p in model.parameters() if p.requires_grad]
    on_cuda = device.type == "cuda"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    seconds = []
    captured = None
    short = batch.sequence.shape[1] <= GRAPH_BP
    if on_cuda and training.cuda_graph and training.accumulate_batches == 1 and short:
        make_capturable(optimiser)
        captured = CapturedStep(
            model, optimiser, accumulate_gradients, training.precision, training.clip_norm
        )
    warmup = WARMUP_STEPS if captured is None else WARMUP_STEPS + EAGER_STEPS + COMPARED_STEPS
    for _ in range(warmup + MEASURED_STEPS):
        if on_cuda:
            torch.cuda.synchronize(device)
        started = time.perf_counter()
        if captured is not None:
            captured(batch)
        else:
            accumulate_gradients(model, [batch], training.precision)
            clip_gradients(parameters, training.clip_norm or float("inf"))
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        if on_cuda:
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    peak = torch.cuda.max_memory_allocated(device) if on_cuda else after - before
    measured = seconds[warmup:]
    return {
        "step_seconds": statistics.median(measured),
        "step_seconds_low": min(measured),
        "step_seconds_high": max(measured),
        "step_memory_mib": peak / _MIB,
    }


def measure_cost(
    settings: Mapping[str, Any],
    shapes: Mapping[str, Any],
    output: str | Path,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Write the costs of one model as JSON; tabular models have no step and no arithmetic here.

    Args:
        settings: resolved settings of the model.
        shapes: see :func:`random_batch`.
        output: the JSON to write.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None leaves them as they are.

    Raises:
        InputError: the settings do not fit the architecture.
    """
    record = {key: settings[key] for key in ("model", "architecture", "window_bp", "modalities")}
    if class_of(settings).tabular:
        write_json({**record, "trained_by_steps": False}, output)
        return
    training = parse_settings(TrainingSettings, settings["training"], str(settings["model"]))
    chosen = prepare_device(device, threads)
    torch.manual_seed(0)
    model = build_model(settings).to(chosen)
    wanted = {*getattr(type(model), "needs", ())}
    wanted |= {*getattr(type(model), "takes", ())} if shapes["n_elements"] else set()
    shapes = {**shapes, "extras": sorted(wanted)}
    flops = flops_per_gene(model, random_batch(settings, shapes, 1, chosen))
    batch = random_batch(settings, shapes, training.batch_size, chosen)
    facts = measure_steps(model, batch, training, chosen)
    logger.info("%s: %d parameters, %s", settings["model"], parameter_count(model), facts)
    write_json(
        {
            **record,
            "trained_by_steps": True,
            "n_parameters": parameter_count(model),
            "parameters_by_part": {
                name: parameter_count(part) for name, part in model.named_children()
            },
            "flops_per_gene": flops,
            **facts,
            "n_steps": MEASURED_STEPS,
            "batch_size": training.batch_size,
            "precision": training.precision,
            "device": describe_device(chosen),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
        output,
    )
