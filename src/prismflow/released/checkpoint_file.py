"""Read torch checkpoint archives without executing what is pickled in them.

A checkpoint is a zip archive of one pickle and raw storages. A pickle is a program: it may name any
importable object and call it. Here nothing is imported and nothing named is called: tensors and
plain containers are rebuilt by the code below, and every other name becomes an inert record of what
was there, which can be looked at but does nothing.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prismflow.errors import InputError

PICKLE_NAME = "data.pkl"
MAX_PICKLE_BYTES = 1 << 28
MAX_DEPTH = 60
_STORAGES: dict[str, torch.dtype] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_MEMO_OPCODES = ("PUT", "BINPUT", "LONG_BINPUT")
_BUILTINS = ("builtins", "__builtin__")
_PICKLE_ERRORS = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    TypeError,
    ValueError,
    LookupError,
    OverflowError,
    MemoryError,
    RecursionError,
    RuntimeError,
    struct.error,
)


class Inert:
    """Stands for an object of a class that is not admitted; keeps what was put into it.

    Attributes:
        name: the class or function that the file names.
        arguments: what it would have been called with.
        state: what would have been set on it.
    """

    name = ""
    arguments: tuple[Any, ...]
    state: Any
    elements: list[Any]

    def __new__(cls, *arguments: Any, **named: Any) -> Inert:
        self = object.__new__(cls)
        self.arguments, self.state, self.elements = arguments, None, []
        return self

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Arguments are kept by ``__new__``."""

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.elements.append((key, value))

    def append(self, value: Any) -> None:
        """Keep an element."""
        self.elements.append(value)

    add = append

    def extend(self, values: Any) -> None:
        """Keep elements."""
        self.elements.extend(values)


class _StorageType:
    """A storage class of torch, known by the type of its elements only."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class _Container:
    """Builds one kind of plain container when a pickle asks for it."""

    __slots__ = ("kind",)

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def __call__(self, *arguments: Any) -> Any:
        if self.kind is dict:
            # Of a defaultdict the first argument is the default's factory, which is not kept.
            arguments = tuple(a for a in arguments if isinstance(a, (dict, list)))
        return self.kind(*arguments)


class _TensorBuilder:
    """What torch's function for rebuilding tensors does, with every argument checked."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Tensor:
        numbers = [offset, *size, *stride]
        if not isinstance(storage, Tensor) or len(size) != len(stride):
            raise pickle.UnpicklingError("a tensor without a storage")
        if not all(isinstance(n, int) and n >= 0 for n in numbers):
            raise pickle.UnpicklingError("a tensor with an impossible shape")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if math.prod(size) and last >= storage.numel():
            raise pickle.UnpicklingError("a tensor that is larger than its storage")
        return torch.as_strided(storage, tuple(size), tuple(stride), offset).clone()


class _ParameterBuilder:
    """A parameter is its tensor."""

    __slots__ = ()

    def __call__(self, data: Any, *rest: Any) -> Any:
        return data


class _Unpickler(pickle.Unpickler):
    """Admits tensors and plain containers; everything else becomes :class:`Inert`."""

    def __init__(self, archive: zipfile.ZipFile, prefix: str, pickled: bytes) -> None:
        super().__init__(io.BytesIO(pickled), encoding="utf-8")
        self.archive, self.prefix = archive, prefix
        self.storages: dict[str, Tensor] = {}
        self.inert: dict[str, type[Inert]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Never imports anything; see the class."""
        if module in _BUILTINS and name in ("dict", "list", "set"):
            return _Container({"dict": dict, "list": list, "set": set}[name])
        if module == "collections" and name == "OrderedDict":
            return _Container(OrderedDict)
        if module == "collections" and name == "defaultdict":
            return _Container(dict)
        if module == "torch._utils" and name == "_rebuild_tensor_v2":
            return _TensorBuilder()
        if module == "torch._utils" and name == "_rebuild_parameter":
            return _ParameterBuilder()
        if module == "torch" and name in _STORAGES:
            return _StorageType(_STORAGES[name])
        full = f"{module}.{name}"
        if full not in self.inert:
            self.inert[full] = type("Inert", (Inert,), {"name": full})
        return self.inert[full]

    def persistent_load(self, pid: Any) -> Tensor:
        """The storage that a persistent id names, as a flat tensor."""
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage"):
            raise pickle.UnpicklingError("a persistent object that is no storage")
        _, kind, key, _, count = pid[:5]
        if not isinstance(kind, _StorageType) or not isinstance(key, str):
            raise pickle.UnpicklingError("a storage of an unknown type")
        if key not in self.storages:
            self.storages[key] = self._read(key, kind.dtype, count)
        return self.storages[key]

    def _read(self, key: str, dtype: torch.dtype, count: Any) -> Tensor:
        content = _member(self.archive, f"{self.prefix}data/{key}")
        if not isinstance(count, int) or len(content) != count * dtype.itemsize:
            raise pickle.UnpicklingError(f"storage {key} of another size than announced")
        if not count:
            return torch.empty(0, dtype=dtype)
        return torch.frombuffer(bytearray(content), dtype=dtype)


def read_checkpoint(path: str | Path) -> tuple[Any, tuple[str, ...]]:
    """Read a ``.ckpt`` or ``.pt`` archive.

    Args:
        path: zip archive as ``torch.save`` writes it.

    Returns:
        The unpickled tree of plain containers, tensors, numbers, text and :class:`Inert` objects,
        and the sorted names of everything that was not admitted.

    Raises:
        InputError: the file is missing, truncated, no such archive, or its pickle is malformed.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected a checkpoint, found no such file.")
    try:
        with zipfile.ZipFile(path) as archive:
            prefix = _prefix(archive, path)
            order = f"{prefix}byteorder"
            if order in archive.namelist() and _member(archive, order).strip() != b"little":
                raise InputError(f"{path}: expected a little-endian checkpoint, found another.")
            pickled = _member(archive, prefix + PICKLE_NAME)
            _check_memo(pickled)
            unpickler = _Unpickler(archive, prefix, pickled)
            tree = unpickler.load()
            return tree, tuple(sorted(unpickler.inert))
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise InputError(
            f"{path}: expected a checkpoint (a zip archive written by torch), found a file that is "
            f"truncated or of another kind ({error})."
        ) from None
    except _PICKLE_ERRORS as error:
        raise InputError(
            f"{path}: the checkpoint's contents are malformed ({type(error).__name__}: {error})."
        ) from None


def _prefix(archive: zipfile.ZipFile, path: Path) -> str:
    """Folder inside the archive, with a slash."""
    found = [name for name in archive.namelist() if name.split("/")[-1] == PICKLE_NAME]
    if len(found) != 1:
        raise InputError(
            f"{path}: expected a checkpoint with one {PICKLE_NAME} inside, found {len(found)}."
        )
    return found[0].removesuffix(PICKLE_NAME)


def _check_memo(pickled: bytes) -> None:
    """Refuse a memo index that no pickle of this length can need: each costs memory at once."""
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in _MEMO_OPCODES and (argument or 0) > len(pickled):
            raise pickle.UnpicklingError(f"memo index {argument}")


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise pickle.UnpicklingError(f"the archive lacks {name}") from None
    # torch stores without compression; refusing it leaves no way to hide a huge member.
    if info.compress_type != zipfile.ZIP_STORED:
        raise pickle.UnpicklingError(f"{name} is compressed")
    if name.endswith(PICKLE_NAME) and info.file_size > MAX_PICKLE_BYTES:
        raise pickle.UnpicklingError(f"{name} is larger than any checkpoint's")
    return archive.read(info)


def plain_values(value: Any, depth: int = 0) -> Any:
    """Configuration values as plain containers.

    The released checkpoints keep their configuration in objects of a configuration library: its
    containers hold ``_content``, its leaves ``_val``. Other inert objects become None.
    """
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, Inert):
        state = value.state if isinstance(value.state, dict) else {}
        inner = state.get("_content", state.get("_val"))
        return plain_values(inner, depth + 1)
    if isinstance(value, dict):
        return {k: plain_values(v, depth + 1) for k, v in value.items() if isinstance(k, str)}
    if isinstance(value, (list, tuple)):
        return [plain_values(v, depth + 1) for v in value]
    return value if isinstance(value, (str, int, float, bool)) else None
