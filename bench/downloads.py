"""Faults of downloading: what ``storygen models`` says of each, what is kept, and what the same command does then.

The hub is a server on this machine that speaks the real one's endpoints. Nothing here passes or fails: the tests do
(tests/engines/test_model_faults.py, test_model_disk.py, tests/orchestrator/test_models.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from hub_server import Hub, hub  # noqa: E402 - the tests are no package

MODEL, FILE = "somebody/tiny", "model.safetensors"
WEIGHTS = random.Random(7).randbytes(3_000_000)
HALF = len(WEIGHTS) // 2
EVIL = b'{"id": "somebody/tiny", "sha": "../../../victim", "siblings": []}'
DOWNLOAD = ("download", MODEL, "--yes")


@dataclass(frozen=True)
class Fault:
    """What goes wrong: a name for it, how the hub is brought to it, and the command that meets it."""

    name: str
    arrange: Callable[[Hub, Path], object]
    command: tuple[str, ...] = DOWNLOAD
    first: tuple[str, ...] = ()
    """A command that is needed before, with nothing wrong."""
    interrupt: bool = False
    """Ctrl+C as soon as half of the file has come."""
    environment: Mapping[str, str] = field(default_factory=dict)


def refuse(status: int, code: str) -> Callable[[Hub, Path], object]:
    """The hub answers everything so."""
    return lambda state, _: setattr(state.models[MODEL], "refuse", (status, code))


def damage(content: Callable[[bytes], bytes]) -> Callable[[Hub, Path], object]:
    """A file that came well is changed on the disk."""

    def change(_: Hub, folder: Path) -> None:
        (link,) = folder.rglob(FILE)
        link.resolve().write_bytes(content(WEIGHTS))

    return change


def begin_badly(_: Hub, folder: Path) -> None:
    """Half of the file has come, and its first bytes were damaged since."""
    blobs = folder / "models" / "models--somebody--tiny" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hashlib.sha256(WEIGHTS).hexdigest()}.incomplete").write_bytes(b"damage" + WEIGHTS[6:HALF])


def lose(_: Hub, folder: Path) -> None:
    """The link is left, its content is not."""
    next(folder.rglob(FILE)).resolve().unlink()


FAULTS = (
    Fault("connection cut once", lambda state, _: state.cut_after.update({FILE: [HALF]})),
    Fault("connection cut always", lambda state, _: state.cut_after.update({FILE: [HALF] + [0] * 99})),
    Fault("Ctrl+C half way", lambda state, _: state.hold_after.update({FILE: HALF}), interrupt=True),
    Fault(
        "hub falls silent",
        lambda state, _: state.hold_after.update({FILE: HALF}),
        environment={"HF_HUB_DOWNLOAD_TIMEOUT": "1"},
    ),
    Fault("hub asks for a pause", refuse(429, "")),
    Fault("hub is down", refuse(503, "")),
    Fault("no such model", lambda _, __: None, ("download", "somebody/else", "--yes")),
    Fault("no such revision", lambda _, __: None, (*DOWNLOAD, "--revision", "v9")),
    Fault("gated", refuse(403, "GatedRepo")),
    Fault("token refused", refuse(401, "")),
    Fault("listed file damaged in transfer", lambda state, _: state.spoiled.update({FILE: WEIGHTS[:-1] + b"?"})),
    Fault("begun file damaged on the disk", begin_badly),
    Fault("a login page answers", lambda state, _: state.instead.update(revision=(200, b"<html>Log in</html>", {}))),
    Fault("commit leads out", lambda state, _: state.instead.update(revision=(200, EVIL, {}))),
    Fault("listed file is lost", lambda state, _: state.lost.add(FILE)),
    Fault("name leads out", lambda state, _: state.models[MODEL].files.update({"../../evil.json": b"{}"})),
    Fault("offline, not here", lambda _, __: None, environment={"HF_HUB_OFFLINE": "1"}),
    Fault("offline, here", lambda _, __: None, first=DOWNLOAD, environment={"HF_HUB_OFFLINE": "1"}),
    Fault("offline, content lost", lose, first=DOWNLOAD, environment={"HF_HUB_OFFLINE": "1"}),
    Fault("folder is a file", lambda _, folder: (folder / "models").touch()),
    Fault("damaged on the disk", damage(lambda it: it[:-1] + b"?"), ("verify", MODEL), DOWNLOAD),
    Fault("cut short on the disk", damage(lambda it: it[:HALF]), ("verify", MODEL), DOWNLOAD),
    Fault("file is missing", lambda _, folder: next(folder.rglob(FILE)).unlink(), ("verify", MODEL), DOWNLOAD),
)


def main() -> None:
    """The table."""
    if importlib.util.find_spec("huggingface_hub") is None:
        print("\ndownloads: skipped: huggingface_hub is not installed (the models extra has it)")
        return
    print(f"\ndownloads: {' '.join((__doc__ or '').split('.', maxsplit=1)[0].split())}.")
    for fault in FAULTS:
        for line in meet(fault):
            print(f"  {line}", flush=True)


def meet(fault: Fault) -> Iterator[str]:
    """What is said and kept when it happens, and what comes of the same command when all is well again."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storygen-bench-")))
        state = stack.enter_context(hub(tiny={"config.json": b"{}", FILE: WEIGHTS}))
        if fault.first:
            told(state, folder, fault.first)
        state.asked.clear()
        fault.arrange(state, folder)
        code, said = told(state, folder, fault.command, fault.environment, interrupt=fault.interrupt)
        kept = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        yield f"{fault.name}: exit {code}, {kept / 1e6:.1f} MB kept"
        yield f"    says: {said.replace(state.address, 'HUB')}"
        mend(state, folder)
        again = ("verify", MODEL, "--repair") if fault.command[0] == "verify" else DOWNLOAD
        code, said = told(state, folder, again)
        yield f"    then `storygen models {' '.join(again)}`: exit {code}, ranges of the weights asked: {asked(state)}"


def mend(state: Hub, folder: Path) -> None:
    """All is well again, but what is on the disk."""
    if (folder / "models").is_file():
        (folder / "models").unlink()
    state.behave()
    state.models[MODEL].refuse = None
    state.models[MODEL].files.pop("../../evil.json", None)


def asked(state: Hub) -> str:
    """The parts of the weights that the hub was asked for."""
    return ", ".join(part or "all" for part in state.ranges(FILE)) or "none"


def told(
    state: Hub,
    folder: Path,
    command: tuple[str, ...],
    more: Mapping[str, str] | None = None,
    *,
    interrupt: bool = False,
) -> tuple[int, str]:
    """(exit code, words on standard error) of ``storygen models``, with ``more`` in its environment."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": state.address,
        "STORYGEN_MODELS_DIR": str(folder / "models"),
        **(more or {}),
    }
    line = [sys.executable, "-m", "orchestrator", "models", *command]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        if interrupt:
            state.held.wait()
            process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    return process.returncode, " ".join(said.split()).replace(str(folder), "…") or "nothing"


if __name__ == "__main__":
    main()
