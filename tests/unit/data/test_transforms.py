"""Modalities: transforms, names, kinds."""

from __future__ import annotations

import numpy as np
import pytest

from prismflow.data.transforms import TRANSFORMS, apply_transform, check_kind
from prismflow.errors import InputError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("raw", [0.0, 9.0, 99.0]),
        ("log1p", np.log([1.0, 10.0, 100.0])),
        ("log10p1", [0.0, 1.0, 2.0]),
        ("clip:20", [0.0, 9.0, 20.0]),
        ("clip:0.5", [0.0, 0.5, 0.5]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transforms(name: str, expected: list[float], dtype: type) -> None:
    found = apply_transform(name, np.array([0, 9, 99], dtype=dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["sqrt", "clip", "", "log2", "raw:3"])
def test_unknown_transforms_name_the_known(name: str) -> None:
    with pytest.raises(InputError, match="known transforms: raw, log1p, log10p1, clip:<max>"):
        apply_transform(name, np.zeros(2))


@pytest.mark.parametrize("name", ["clip:", "clip:-3", "clip:0", "clip:much", "clip:inf"])
def test_clip_needs_a_positive_number(name: str) -> None:
    with pytest.raises(InputError, match="positive number after 'clip:'"):
        apply_transform(name, np.zeros(2))


def test_logarithm_of_negative_values() -> None:
    with pytest.raises(InputError, match="needs values >= 0, found -2"):
        apply_transform("log1p", np.array([1.0, -2.0]))
    assert apply_transform("raw", np.array([-2.0])).tolist() == [-2.0]
    assert apply_transform("log1p", np.zeros((0, 3))).shape == (0, 3)


def test_names() -> None:
    assert set(TRANSFORMS) == {"raw", "log1p", "log10p1"}
    with pytest.raises(InputError, match="reserved"):
        check_kind("labels", "signal")
    with pytest.raises(InputError, match="known kinds: contacts, peaks, signal"):
        check_kind("dnase", "bigwig")
