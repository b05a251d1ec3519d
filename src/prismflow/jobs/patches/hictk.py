"""hictkpy, without the thread in which its version 1.4.0 keeps a core busy.

The thread starts with the import, asks without a pause whether there is something to log, and ends
when Python does. Here it is told so at once. What hictkpy would log is lost; its errors are
exceptions as before.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from typing import Any

from prismflow.jobs.patches import Patch

PATCHES = (
    Patch(
        package="hictkpy",
        versions="1.4.0",
        place="nanobind: type of the function that hictkpy registers with atexit",
        link="https://github.com/paulsengroup/hictkpy",
        why="no core is busy in a process that only imported it",
        fallback="the thread goes on until Python ends; what is read and written is the same",
    ),
)


def _import_quietly() -> Any:
    """Import hictkpy and call the function that it leaves for Python's end."""
    endings: list[Callable[[], Any]] = []
    register = atexit.register

    def note(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        if type(function).__module__.startswith("nanobind"):
            endings.append(function)
        return register(function, *args, **kwargs)

    atexit.register = note  # type: ignore[assignment]  # put back below
    try:
        import hictkpy
    finally:
        atexit.register = register
    for end in endings:
        end()
    return hictkpy


hictkpy = _import_quietly()
