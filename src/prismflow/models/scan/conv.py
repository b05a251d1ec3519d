"""Depthwise causal convolution with SiLU, in plain torch and channels last."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def causal_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    silu: bool = True,
    reverse: bool = False,
) -> Tensor:
    """y_t = act(bias + sum_k weight_k x_{t-W+1+k}), zeros before the start.

    Written as W shifted multiply-adds: a grouped convolution on a CPU costs more than the scan.

    Args:
        x: (B, L, D).
        weight: (D, W), the last tap acting on the current position.
        bias: (D,).
        silu: apply SiLU.
        reverse: causal from the end; equal to flipping x and the result along the length.
    """
    taps = weight.shape[1]
    length = x.shape[1]
    padding = (0, 0, 0, taps - 1) if reverse else (0, 0, taps - 1, 0)
    padded = F.pad(x, padding)
    y: Any = None
    for k in range(taps):
        shift = taps - 1 - k if reverse else k
        window = padded[:, shift : shift + length]
        if y is not None:
            y = torch.addcmul(y, window, weight[:, k])
        elif bias is not None:
            y = torch.addcmul(bias, window, weight[:, k])
        else:
            y = window * weight[:, k]
    return F.silu(y) if silu else y
