"""A stand-in for training: warned by SIGTERM it takes three seconds to keep a state, then fails.

Where a state is found it ends at once, with a result that says which GPU it could see.
"""

import os
import signal
import sys
import time
from pathlib import Path

state, result = map(Path, sys.argv[1:])


def keep(*_: object) -> None:
    time.sleep(3)
    state.write_text("kept\n")
    sys.exit(1)


signal.signal(signal.SIGTERM, keep)
if not state.exists():
    time.sleep(3000)
result.write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
