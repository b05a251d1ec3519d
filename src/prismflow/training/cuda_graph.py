"""A whole optimiser step as one CUDA graph.

A 2-kb model keeps a modern GPU busy for a fraction of the time that it takes Python to launch its
kernels. Recording the step once and replaying it removes that cost; the arithmetic is the same.
Nothing is taken for granted: a step that waits for the device is not recorded, the first replays
are compared with steps taken kernel by kernel, and wherever that goes wrong training goes on so.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import warnings
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from prismflow.models.common import ExpressionModel
from prismflow.training.batches import Batch
from prismflow.training.optimiser import clip_gradients

logger = logging.getLogger(__name__)

#: Steps that are taken one kernel at a time before the recording: lazy initialisation (cuBLAS,
#: compiled kernels, optimiser state) must be over by then.
EAGER_STEPS = 3

#: Replays that are compared with the same step taken kernel by kernel.
COMPARED_STEPS = 2

#: How far they may be apart: sums by atomic additions differ in their last bits, and AdamW turns
#: that into another sign where a gradient is next to nothing.
LOSS_TOLERANCE, NORM_TOLERANCE, UPDATE_TOLERANCE = 1e-3, 1e-2, 0.05

Gradients = Callable[[ExpressionModel, list[Batch], str], dict[str, Tensor]]
Result = tuple[dict[str, Tensor], Tensor]


def _tensors(batch: Batch) -> dict[str, Tensor]:
    fields = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    named = {name: value for name, value in fields.items() if isinstance(value, Tensor)}
    return named | {f"extras.{name}": value for name, value in batch.extras.items()}


def _layout(batch: Batch) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (value.shape, value.dtype) for name, value in _tensors(batch).items()}


def make_capturable(optimiser: torch.optim.Optimizer) -> None:
    """Keep step counts and learning rates on the device, where a graph can read them."""
    for group in optimiser.param_groups:
        device = group["params"][0].device
        group["capturable"] = True
        group["lr"] = torch.tensor(float(group["lr"]), device=device)


class CapturedStep:
    """Forward, backward, clipping and update of one batch layout, recorded once and replayed.

    Args:
        model: on a CUDA device, in training mode.
        optimiser: prepared by :func:`make_capturable`.
        gradients: computes the gradients of some batches and returns the loss terms.
        precision: ``fp32`` or ``bf16``.
        clip_norm: global gradient norm, or None.

    Attributes:
        graph: the recording, None before it and where there is none.
        given_up: why steps are taken kernel by kernel for good, None while that is open.
    """

    def __init__(
        self,
        model: ExpressionModel,
        optimiser: torch.optim.Optimizer,
        gradients: Gradients,
        precision: str,
        clip_norm: float | None,
    ) -> None:
        self.model = model
        self.optimiser = optimiser
        self.gradients = gradients
        self.precision = precision
        self.max_norm = clip_norm or math.inf
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.graph: torch.cuda.CUDAGraph | None = None
        self.given_up: str | None = None
        self.inputs: Batch | None = None
        self.outputs: dict[str, Tensor] = {}
        self.eager_steps = 0
        self.compared = 0

    def __call__(self, batch: Batch) -> Result:
        """Take one step.

        Returns:
            Detached loss terms, and the gradient norm before clipping.
        """
        if self.given_up is not None:
            return self._eager(batch)
        if self.graph is None and self.eager_steps < EAGER_STEPS:
            self.eager_steps += 1
            return self._watched(batch) if self.eager_steps == EAGER_STEPS else self._eager(batch)
        if self.graph is None:
            self._record(batch)
        if self.graph is None or self.inputs is None or _layout(batch) != _layout(self.inputs):
            return self._eager(batch)
        if self.compared < COMPARED_STEPS:
            return self._both(batch)
        return self._replay(batch)

    def _replay(self, batch: Batch) -> Result:
        inputs = _tensors(self.inputs)  # type: ignore[arg-type]  # it was recorded
        for name, value in _tensors(batch).items():
            inputs[name].copy_(value, non_blocking=True)
        self.graph.replay()  # type: ignore[union-attr]  # it was recorded
        terms = {name: value.clone() for name, value in self.outputs.items()}
        return terms, terms.pop("gradient_norm")

    def _eager(self, batch: Batch) -> Result:
        self.optimiser.zero_grad(set_to_none=True)
        terms = self.gradients(self.model, [batch], self.precision)
        norm = clip_gradients(self.parameters, self.max_norm)
        self.optimiser.step()
        return terms, norm

    def _watched(self, batch: Batch) -> Result:
        """A step that shows whether it waits for the device; then it can't be recorded."""
        mode = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                result = self._eager(batch)
            finally:
                torch.cuda.set_sync_debug_mode(mode)
        waits = sum("synchronizing CUDA operation" in str(w.message) for w in said)
        if waits:
            self._give_up(f"it waits for the device {waits} times", logging.INFO)
        return result

    def _record(self, batch: Batch) -> None:
        """Record a step on a copy of the batch; recording runs no kernel and changes nothing."""
        fields = {
            f.name: getattr(batch, f.name).clone()
            for f in dataclasses.fields(batch)
            if isinstance(getattr(batch, f.name), Tensor)
        }
        extras = {name: value.clone() for name, value in batch.extras.items()}
        inputs = dataclasses.replace(batch, **fields, extras=extras)
        device = batch.rows.device
        self.optimiser.zero_grad(set_to_none=True)
        random, stream = torch.cuda.get_rng_state(device), torch.cuda.current_stream(device)
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(device)
        try:
            # Another thread, such as the one that reads ahead, may call what a recording forbids.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                terms, norm = self._eager(inputs)
        except RuntimeError as error:
            self.optimiser.zero_grad(set_to_none=True)
            # A recording that fails leaves its stream and its mark on the random numbers behind.
            torch.cuda.set_stream(stream)
            _forget_recording(device, random)
            self._give_up(f"recording it failed ({str(error).partition(chr(10))[0]})")
            return
        self.graph, self.inputs = graph, inputs
        self.outputs = {**terms, "gradient_norm": norm}
        logger.info("the training step is replayed as a CUDA graph")

    def _both(self, batch: Batch) -> Result:
        """The same step in both ways from the same state; the replay's must be the eager one's."""
        device = batch.rows.device
        state, random = self._state(), torch.cuda.get_rng_state(device)
        before = {name: value.clone() for name, value in state.items()}
        result = self._eager(batch)
        after = {name: value.clone() for name, value in state.items()}
        self.optimiser.zero_grad(set_to_none=True)
        _copy(before, state)
        torch.cuda.set_rng_state(random, device)
        replayed = self._replay(batch)
        self.compared += 1
        wrong = _difference(result, replayed, before, after, state)
        if wrong is None:
            return replayed
        _copy(after, state)
        self.graph, self.inputs, self.outputs = None, None, {}
        self._give_up(f"a replay is not the step itself: {wrong}")
        return result

    def _state(self) -> dict[str, Tensor]:
        """Everything on the device that a step changes, by name; the tensors themselves."""
        named = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for index, parameter in enumerate(self.parameters):
            for name, value in self.optimiser.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    named[f"moments.{index}.{name}"] = value
        return named

    def _give_up(self, why: str, level: int = logging.WARNING) -> None:
        self.given_up = why
        logger.log(level, "the training step is not replayed as a CUDA graph: %s", why)


def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in source.items():
            target[name].copy_(value)


def _difference(
    eager: Result,
    replayed: Result,
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
) -> str | None:
    """What of a replayed step is not that of the eager one, or None."""
    pairs = [(name, eager[0][name], replayed[0][name], LOSS_TOLERANCE) for name in eager[0]]
    pairs.append(("gradient norm", eager[1], replayed[1], NORM_TOLERANCE))
    for name, wanted, found, tolerance in pairs:
        a, b = wanted.double(), found.double()
        # A loss that is not finite is told to the user elsewhere; it must be so in both.
        if not torch.allclose(a, b, rtol=tolerance, atol=1e-6, equal_nan=True):
            return f"{name} is {b.item():.6g} instead of {a.item():.6g}"
    names = [
        name for name in state if name.startswith("model.") and state[name].is_floating_point()
    ]
    moved, apart = (
        torch.stack([(x[n].double() - y[n].double()).square().sum() for n in names]).sum().sqrt()
        for x, y in ((after, before), (state, after))
    )
    if apart.item() > UPDATE_TOLERANCE * moved.item():
        return f"its update is {(apart / moved).item():.2g} of a step away"
    return None


def _forget_recording(device: torch.device, random: Tensor) -> None:
    """Give the device's generator a state that no failed recording has marked."""
    fresh = torch.Generator(device)
    torch.cuda.default_generators[device.index or 0].graphsafe_set_state(
        fresh.graphsafe_get_state()
    )
    torch.cuda.set_rng_state(random, device)
