"""What the doctor finds out about the machine itself: Python, FFmpeg, graphics card, memory, disk, processors."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from orchestrator.doctor_findings import Finding
from orchestrator.installed import OLDEST_PYTHON
from orchestrator.wording import counted

FILTERS = ("ass", "loudnorm", "sidechaincompress", "alimiter")
ENCODERS = ("libx264", "aac")
LEAST_MEMORY, LEAST_DISK, FULL_DISK = 1.0e9, 2.0e9, 0.2e9
"""Bytes: a film of 1080×1920 takes some 0.6 GB of memory; a run of some minutes leaves up to 1 GB of files."""
LISTING_S = 20.0
"""Longest wait for a program to list what it has; a graphics driver that wakes up takes some seconds."""
CARDS = ("--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")


def python() -> list[Finding]:
    """The interpreter that this runs in, and workers too where a profile names no other."""
    found = f"{'.'.join(map(str, sys.version_info[:3]))}, {sys.executable}"
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return [Finding("Python", "ok", found)]
    needed = ".".join(map(str, OLDEST_PYTHON))
    return [Finding("Python", "fault", found, f"storygen needs Python {needed} or newer: https://www.python.org")]


def ffmpeg() -> list[Finding]:
    """The FFmpeg that the workers take, which they choose in the same way (workers/media/ffmpeg.py)."""
    advice = f"Run: {sys.executable} -m pip install --force-reinstall imageio-ffmpeg"
    if os.environ.get("IMAGEIO_FFMPEG_EXE"):
        advice = "Unset IMAGEIO_FFMPEG_EXE, and the packaged FFmpeg is taken; or let it name one that has all it needs."
    try:
        import imageio_ffmpeg

        program = str(imageio_ffmpeg.get_ffmpeg_exe())
        version, filters, encoders = (
            _said(program, "-hide_banner", what) for what in ("-version", "-filters", "-encoders")
        )
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        return [Finding("FFmpeg", "fault", f"cannot be run: {error}", advice)]
    packaged = Path(program).is_relative_to(Path(imageio_ffmpeg.__file__).parent)
    origin = "packaged" if packaged else f"the system's, {shutil.which(program) or program}"
    number = re.match(r"ffmpeg version (\S+)", version)
    found = f"{number[1] if number else 'unknown version'} ({origin})"
    missing = [f"filter {name}" for name in FILTERS if not _has(filters, name)]
    missing += [f"encoder {name}" for name in ENCODERS if not _has(encoders, name)]
    if missing:
        return [Finding("FFmpeg", "fault", f"{found} lacks {', '.join(missing)}", advice)]
    return [Finding("FFmpeg", "ok", f"{found} has {', '.join((*FILTERS, *ENCODERS))}")]


def _said(program: str, *arguments: str) -> str:
    """What a program writes. Raises OSError, or SubprocessError with its own words."""
    try:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LISTING_S,
            check=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.CalledProcessError as error:
        said = b" ".join((error.stdout + b" " + error.stderr).split())[:300].decode("utf-8", "replace")
        raise subprocess.SubprocessError(f"{program} ended with {error.returncode}: {said}") from error
    return done.stdout.decode("utf-8", "replace")


def _has(listing: str, name: str) -> bool:
    """Whether a listing of FFmpeg's has it: flags, name, words of explanation."""
    return re.search(rf"^\s*\S+\s+{re.escape(name)}\s", listing, re.MULTILINE) is not None


def gpu() -> list[Finding]:
    """Every NVIDIA card with its memory and driver, as NVIDIA's own program says; or Apple's; or that there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        if platform.system() == "Darwin" and platform.machine() == "arm64":
            return [Finding("GPU", "ok", "Apple's, which shares the main memory")]
        none = "none of NVIDIA's or Apple's was found; the draft needs none, models run on the processor, slowly"
        return [Finding("GPU", "ok", none)]
    try:
        rows = [line.rsplit(",", 2) for line in _said(program, *CARDS).splitlines() if line.count(",") >= 2]
    except (OSError, subprocess.SubprocessError) as error:
        return [
            Finding(
                "GPU", "warning", f"cannot be used: {error}", "Install or update NVIDIA's driver; the draft needs none."
            )
        ]
    if not rows:
        return [Finding("GPU", "warning", f"{program} lists no card", "See that the card is in place and has power.")]
    return [
        Finding("GPU", "ok", f"{name.strip()}, {_gib(memory)} of memory, driver {driver.strip()}")
        for name, memory, driver in rows
    ]


def _gib(mib: str) -> str:
    """nvidia-smi counts in MiB; some cards say [N/A]."""
    return f"{int(mib) / 1024:.0f} GiB" if mib.strip().isdigit() else "an unknown amount"


def memory() -> list[Finding]:
    """Main memory, free and in all."""
    import psutil

    state = psutil.virtual_memory()
    found = f"{state.available / 1e9:.1f} GB free of {state.total / 1e9:.1f}"
    if state.available >= LEAST_MEMORY:
        return [Finding("memory", "ok", found)]
    return [Finding("memory", "warning", found, "Close other programs, or make a smaller film (--set film.width=540).")]


def disk() -> list[Finding]:
    """Room where a run of this folder would lie."""
    here = Path.cwd()
    free = shutil.disk_usage(here).free
    found = f"{free / 1e9:.1f} GB free in {here}"
    if not os.access(here, os.W_OK):
        return [Finding("disk", "warning", f"{here} cannot be written", "Go to another folder, or give --out.")]
    if free >= LEAST_DISK:
        return [Finding("disk", "ok", found)]
    return [Finding("disk", "fault" if free < FULL_DISK else "warning", found, "Free space, or give --out.")]


def processors() -> list[Finding]:
    """Those that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [Finding("processors", "ok", counted(usable, "core"))]
