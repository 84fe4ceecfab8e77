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
from orchestrator.doctor_findings import install_for
from orchestrator.errors import StorygenError, as_ours, error_table


class Interrupted(KeyboardInterrupt):
    """Ctrl+C, SIGTERM or a closed terminal: ends a run in order."""


class _Stop:
    """What SIGINT, SIGTERM and a closed terminal do: the first time end in order, the second time at once."""

    def __init__(self) -> None:
        self.asked = False
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup's wish
                signal.signal(number, self)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            from orchestrator.worker import kill_all

            kill_all()
            os._exit(error_table()["cancelled"]["exit"])
        self.asked = True
        raise Interrupted


def _open_streams() -> None:
    """Text as UTF-8; a stream that who started us closed swallows what it is given."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for as long as we live
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]


def main() -> NoReturn:
    """Run the command line; every end is an exit code of the error table."""
    _open_streams()
    stop = _Stop()
    try:
        code = cli.main(standalone_mode=False, prog_name="storygen")  # what a command's Exit says, else None
    except click.ClickException as error:
        error.show()
        _end(StorygenError("usage", error.format_message(), "storygen --help shows how."), said=True)
    except (KeyboardInterrupt, click.Abort):
        kept = "Finished work is kept: the same command continues." if sys.argv[1:2] == ["run"] else None
        _end(StorygenError("cancelled", "Stopped.", kept))
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends by the table
        if stop.asked:  # such as a closed terminal, which cannot be told either
            _end(StorygenError("cancelled", "Stopped."))
        if os.environ.get("STORYGEN_DEBUG") == "1":
            traceback.print_exc()
        _end(as_ours(error))
    sys.exit(code or 0)


def _end(error: StorygenError, *, said: bool = False) -> NoReturn:
    """Say what happened, to a person and, where the command speaks JSON, as its last line; leave with its code."""
    command, rest = sys.argv[1:2], sys.argv[2:]
    # What a worker of ``call`` said on stderr has been shown.
    told = [detail for detail in error.details if _without_pointer(detail) not in error.message]
    details = told if command != ["call"] else []
    lines = [error.message if error.code == "cancelled" else f"error: {error.message}", *(f"  {d}" for d in details)]
    hint = error.hint or (install_for(error.message) if error.code == "engine_unavailable" else None)
    lines += [f"  {hint}"] if hint else []
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


def _without_pointer(detail: str) -> str:
    """What a detail says of a place in a request such as ``/input/text``, without the place."""
    return detail.partition(": ")[2] if detail.startswith("/") else detail
