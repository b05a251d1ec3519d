"""hictkpy, without the thread in which its version 1.4.0 keeps a core busy.

The thread starts with the import, asks without a pause whether there is something to log, and ends
when Python does. Here it is told so at once. What hictkpy would log is lost; its errors are
exceptions as before.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from typing import Any


def _import_quietly() -> Any:
    """Import hictkpy and call the function that it leaves for Python's end."""
    endings: list[Callable[[], Any]] = []
    register = atexit.register

    def note(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        if type(function).__module__.startswith("nanobind"):
            endings.append(function)
        return register(function, *args, **kwargs)

    atexit.register = note  # type: ignore[assignment]
    try:
        import hictkpy
    finally:
        atexit.register = register
    for end in endings:
        end()
    return hictkpy


hictkpy = _import_quietly()
