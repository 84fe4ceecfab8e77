"""``python -m tiny_models FOLDER MODULE.FUNCTION …``, run in ``tests``: builds those models and says so in JSON lines.

Each gets a folder of its name. Libraries may write lines of their own between.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path


def main(folder: str, *names: str) -> None:
    """Write {name, seconds, error} for each; what fails keeps no other from being built."""
    for name in names:
        began, error = time.monotonic(), None
        try:
            module, _, function = name.partition(".")
            getattr(importlib.import_module(f"tiny_models.{module}"), function)(Path(folder, name))
        except Exception as failure:  # noqa: BLE001 - said, whatever it is
            error = f"{type(failure).__name__}: {failure}"
        print(json.dumps({"name": name, "seconds": round(time.monotonic() - began, 2), "error": error}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
