"""The program ``storygen``: signals, what is said at the end, the exit code."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from types import FrameType
from typing import NoReturn

import click

from orchestrator.cli import cli
from orchestrator.errors import StorygenError, as_ours, error_table


class Interrupted(KeyboardInterrupt):
    """Ctrl+C, SIGTERM or a closed terminal: ends a run in order."""


def main() -> NoReturn:
    """Run the command line; every end is an exit code of the error table."""

    stopping = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:  # asked twice: at once, without order
            from orchestrator.worker import kill_all

            kill_all()
            os._exit(error_table()["cancelled"]["exit"])
        stopping = True
        raise Interrupted

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup's wish
            signal.signal(number, interrupt)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = cli.main(standalone_mode=False, prog_name="storygen")  # what a command's Exit says, else None
    except click.ClickException as error:
        error.show()
        _end(StorygenError("usage", error.format_message(), "storygen --help shows how."), said=True)
    except (KeyboardInterrupt, click.Abort):
        kept = "Finished work is kept: the same command continues." if sys.argv[1:2] == ["run"] else None
        _end(StorygenError("cancelled", "Stopped.", kept))
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends by the table
        if os.environ.get("STORYGEN_DEBUG") == "1":
            traceback.print_exc()
        _end(as_ours(error))
    sys.exit(code or 0)


def _end(error: StorygenError, *, said: bool = False) -> NoReturn:
    """Say what happened, to a person and, where the command speaks JSON, as its last line; leave with its code."""
    command, rest = sys.argv[1:2], sys.argv[2:]
    # What a worker of ``call`` said on stderr has been shown.
    details = [detail for detail in error.details if detail not in error.message] if command != ["call"] else []
    lines = [error.message if error.code == "cancelled" else f"error: {error.message}", *(f"  {d}" for d in details)]
    lines += [f"  {error.hint}"] if error.hint else []
    try:
        if not said:
            click.echo("\n".join(lines), err=True)
        if command == ["call"]:
            from orchestrator.call import error_line

            click.echo(error_line(error))
        elif command == ["run"] and "--json" in rest:
            body = {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}
            click.echo(json.dumps({"type": "run_failed", "error": body}))
    except OSError:  # nobody reads; what is left in the buffers would fail again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(error.exit_code)
