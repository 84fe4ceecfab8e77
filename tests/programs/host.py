"""A host with one worker and one request, to be killed: ``python host.py FAMILY REQUEST``. Says what it hears."""

from __future__ import annotations

import json
import sys
from typing import Any

from orchestrator.worker import Worker


def show(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    with Worker(sys.argv[1]) as worker:
        show({"type": "started", "pid": worker.pid})
        show(worker.request(json.loads(sys.argv[2]), show))
