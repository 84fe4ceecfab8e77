"""``python -m orchestrator`` is ``storygen``."""

from orchestrator.cli import main

main()
