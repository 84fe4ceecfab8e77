"""``python -m orchestrator`` is ``storygen``."""

from orchestrator.program import main

main()
