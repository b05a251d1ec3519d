"""Comparison of tensors with references, and the report of one folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

F64_RTOL, F64_ATOL = 1e-9, 1e-12
F32_FORWARD, F32_GRADIENT = 1e-5, 1e-4
F32_FORWARD_SCALED, F32_GRADIENT_SCALED = 1e-4, 3e-4
F32_ZERO_GRADIENT = 1e-5
NOISE_FACTOR, NOISE_LIMIT = 3.0, 30.0


@dataclass(frozen=True)
class Tolerances:
    """What may differ.

    Attributes:
        forward, gradient: float32 against float64, relative to the largest absolute value of the
            tensor.
        zero_gradient: absolute, for float32 gradients that are mathematically zero (biases in
            front of a batch norm) and so are noise in the reference too.
    """

    forward: float = F32_FORWARD
    gradient: float = F32_GRADIENT
    zero_gradient: float = F32_ZERO_GRADIENT


@dataclass(frozen=True)
class Deviation:
    """Difference of one tensor from its reference.

    Attributes:
        relative: largest absolute difference over the largest absolute reference value, or the
            absolute difference itself where the reference is zero up to rounding.
        share: the difference as a share of what is allowed; above 1 is a failure.
    """

    name: str
    relative: float
    share: float
    note: str = ""


@dataclass
class Report:
    """Everything found out about one folder."""

    folder: Path
    kind: str
    deviations: list[Deviation] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[Deviation]:
        """Tensors beyond their tolerance."""
        return [d for d in self.deviations if not d.share <= 1]

    @property
    def passed(self) -> bool:
        """Whether everything was compared and nothing is beyond its tolerance."""
        return bool(self.deviations) and not self.failures and not self.not_compared

    @property
    def worst(self) -> Deviation | None:
        """The deviation that uses the largest share of its tolerance."""
        order = {d.name: d for d in self.deviations}.values()
        return max(
            order, key=lambda d: d.share if d.share == d.share else float("inf"), default=None
        )

    def add(
        self, name: str, difference: float, scale: float, allowed: float, note: str = ""
    ) -> None:
        """Record a largest difference against an absolute allowance."""
        relative = difference / scale if scale > 0 else difference
        share = difference / allowed if allowed > 0 else (0.0 if difference == 0 else float("inf"))
        self.deviations.append(Deviation(name, relative, share, note))

    def exact(self, name: str, ours: Tensor, reference: Tensor) -> None:
        """Integers, booleans and other tensors that must be equal."""
        ours = without_unit_axes(ours, reference)
        if ours.shape != reference.shape:
            self._shape_failure(name, ours, reference)
            return
        self.add(name, _largest(ours.double() - reference.double()), 1.0, 0.0)

    def float64(self, name: str, ours: Tensor, reference: Tensor) -> None:
        """Element by element: |ours - reference| <= 1e-12 + 1e-9 |reference|."""
        ours = without_unit_axes(ours, reference)
        if ours.shape != reference.shape:
            self._shape_failure(name, ours, reference)
            return
        ours, reference = ours.double(), reference.double()
        difference = (ours - reference).abs()
        share = difference / (F64_ATOL + F64_RTOL * reference.abs())
        scale = float(reference.abs().max()) if reference.numel() else 0.0
        largest = float(difference.max()) if reference.numel() else 0.0
        relative = largest / scale if scale > F64_ATOL / F64_RTOL else largest
        worst = float(share.max()) if reference.numel() else 0.0
        self.deviations.append(Deviation(name, relative, worst))

    def float32(
        self,
        name: str,
        ours: Tensor,
        reference: Tensor,
        reference32: Tensor | None,
        tolerances: Tolerances,
    ) -> None:
        """Against the float64 reference, relative to its largest absolute value.

        Where the reference's own float32 run is further from its float64 run than a third of the
        tolerance, three times that distance is allowed instead, up to thirty times the tolerance.
        The float32 reference itself is compared at twice the tolerance.
        """
        ours = without_unit_axes(ours, reference)
        if ours.shape != reference.shape:
            self._shape_failure(name, ours, reference)
            return
        gradient = ".grad." in name
        ours, reference = ours.double(), reference.double()
        scale = float(reference.abs().max()) if reference.numel() else 0.0
        difference = _largest(ours - reference)
        if gradient and scale < F64_ATOL:
            allowed, scale, note = tolerances.zero_gradient, 0.0, "mathematically zero"
        else:
            allowed, note = (tolerances.gradient if gradient else tolerances.forward) * scale, ""
        allowed = max(allowed, torch.finfo(torch.float32).tiny)
        if reference32 is not None:
            noise = _largest(reference32.double() - reference)
            allowed = min(max(allowed, NOISE_FACTOR * noise), NOISE_LIMIT * allowed)
            # Two float32 runs may lie on either side of the float64 one.
            difference = max(difference, _largest(ours - reference32.double()) / 2)
        self.add(name, difference, scale, allowed, note)

    def _shape_failure(self, name: str, ours: Tensor, reference: Tensor) -> None:
        note = f"shape {tuple(ours.shape)}, expected {tuple(reference.shape)}"
        self.deviations.append(Deviation(name, float("inf"), float("inf"), note))


def without_unit_axes(ours: Tensor, reference: Tensor) -> Tensor:
    """``ours`` in the shape of ``reference`` where they differ in axes of length one only."""
    extents = [[n for n in tensor.shape if n != 1] for tensor in (ours, reference)]
    return ours.reshape(reference.shape) if extents[0] == extents[1] else ours


def _largest(difference: Tensor) -> float:
    """Largest absolute value; NaN if there is one."""
    return float(difference.abs().max()) if difference.numel() else 0.0
