"""The main function of every worker script: flags, modes, signals and the way out."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from runtime import registry, validation
from runtime.errors import WorkerError
from runtime.loop import Loop, leave
from runtime.request import Family
from runtime.session import Session
from runtime.streams import Wire, claim

MAX_TIMEOUT_S = 604800


class Arguments(argparse.ArgumentParser):
    """A parser whose errors are WorkerErrors, so that a wrong flag ends in a line on the wire too."""

    wire: Wire

    def error(self, message: str) -> NoReturn:
        raise WorkerError("usage", message, hint="See --help.")

    def print_help(self, file: Any = None) -> None:
        """Help is what a person asked for on stdout, which the wire holds."""
        self.wire.text(self.format_help())


def parser(family: Family) -> Arguments:
    """The flags that every worker has."""
    script = f"{family.name}.py"
    flags = Arguments(
        prog=script,
        description=f"The {family.name} worker: one JSON request in, one JSON result on stdout.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"operations: {', '.join(validation.operations(family.name))}\n"
        f"engines: {', '.join(registry.names(family.name))}\n\n"
        f"examples:\n  python workers/{script} --input request.json --output-dir out\n"
        f"  python workers/{script} --input - < request.json\n"
        f"  python workers/{script} --describe\n",
    )
    flags.add_argument("--input", metavar="FILE", help="file with one request; - reads it from standard input")
    flags.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="folder for files; no request can write outside it"
    )
    flags.add_argument("--stream", action="store_true", help="write events before the result")
    flags.add_argument("--serve", action="store_true", help="read one request a line and keep the model loaded")
    flags.add_argument("--describe", action="store_true", help="print operations, schemas and engines, then leave")
    flags.add_argument("--timeout", type=float, metavar="S", help="deadline in seconds for requests that name none")
    flags.add_argument("--watch-stdin", action="store_true", help="cancel when standard input closes")
    flags.add_argument(
        "--log-level", choices=("error", "warning", "info", "debug"), default="error", help="what goes to stderr"
    )
    flags.add_argument("--debug", action="store_true", help="print tracebacks to stderr")
    return flags


def main(family: Family) -> NoReturn:
    """Run the worker and leave the process with the exit code of the error table."""
    requests, wire = claim()
    family_flags = parser(family)
    family_flags.wire = wire
    try:
        flags = family_flags.parse_args()
        if flags.timeout is not None and not 0 < flags.timeout <= MAX_TIMEOUT_S:
            raise WorkerError(
                "usage", f"--timeout is {flags.timeout}; it must be more than 0 and at most {MAX_TIMEOUT_S}."
            )
        if flags.serve and flags.input is not None:
            raise WorkerError("usage", "--serve takes its requests from standard input, not from --input.")
        if flags.watch_stdin and flags.input == "-":
            raise WorkerError("usage", "--watch-stdin needs --input FILE: with - the input is the request itself.")
    except WorkerError as error:
        leave(
            Session(family, wire, output_dir=None, timeout_s=None, events=False, serving=False, debug=False).fail(
                error, None
            )
        )
    except SystemExit:  # --help
        leave(0)
    logging.basicConfig(level=flags.log_level.upper(), stream=sys.stderr)
    if flags.describe:
        wire.send(description(family))
        leave(0)
    if flags.input is None and not flags.serve and os.isatty(requests.fileno()):
        family_flags.print_help()
        leave(2)
    session = Session(
        family,
        wire,
        output_dir=flags.output_dir,
        timeout_s=flags.timeout,
        events=flags.stream or flags.serve,
        serving=flags.serve,
        debug=flags.debug,
    )
    loop = Loop(session, requests)
    leave(loop.serve() if flags.serve else loop.once(flags.input or "-", watch=flags.watch_stdin))


def description(family: Family) -> dict[str, Any]:
    """What ``--describe`` prints."""
    return {
        "type": "description",
        "v": 1,
        "id": None,
        "worker": family.name,
        "ops": {op: validation.document(f"{family.name}/{op}") for op in validation.operations(family.name)},
        "common": validation.document("common"),
        "engines": registry.describe(family.name),
    }
