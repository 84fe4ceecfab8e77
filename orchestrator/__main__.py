"""``python -m orchestrator`` is ``storygen``."""

from orchestrator import installed

installed.main()

from orchestrator.program import main  # noqa: E402 - it takes packages that may not be there

main()
