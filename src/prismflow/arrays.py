"""Arrays of trained models on disk: safetensors that carry a digest of their own content.

The format has no checksum, so a changed byte in a weight would be read as another weight. The
digest stands in the header, and a file without it is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from prismflow.errors import InputError
from prismflow.files import write_bytes

_KEY = "sha256_of_tensors"


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {arrays[name].shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def save_arrays(arrays: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Write arrays by name, atomically, with their digest."""
    contiguous = {
        name: np.ascontiguousarray(value).reshape(value.shape) for name, value in arrays.items()
    }
    write_bytes(save(contiguous, metadata={_KEY: _digest(contiguous)}), path)


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Arrays by name.

    Raises:
        InputError: no such file, not safetensors, no digest, or other content than it says.
    """
    try:
        with safe_open(path, framework="np") as file:
            expected = (file.metadata() or {}).get(_KEY)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"{path}: expected the weights of a model, found no such file.") from None
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: expected a safetensors file, found {reason}.") from None
    if expected != _digest(arrays):
        found = "other weights than the digest in its header says" if expected else "no digest"
        raise InputError(
            f"{path}: expected weights as this package writes them, found {found}, so the file was "
            "damaged or comes from elsewhere; train the run again or copy it from where it was "
            "made."
        )
    return arrays
