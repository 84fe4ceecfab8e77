"""The most memory that this worker has held: its own, its children's, and a GPU's.

On Linux getrusage alone misleads: a program begins with the peak of the process that started it (the kernel's exec_mmap
keeps it). So a worker of 1.2 GB would find 1.2 GB for its smallest child, and report its host's memory as its own.
/proc counts from the program's own start.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import Any

HIGH_WATER = re.compile(rb"^VmHWM:\s*(\d+) kB", re.MULTILINE)
"""Linux's "high water mark" of a process's resident memory, in KiB; proc_pid_status(5)."""
FROM_US = 1.1
"""What getrusage says of children is true above so many times our own peak, which is all that a child may have from us;
a margin, because the kernel counts a busy process's pages to some MB only."""


class Children:
    """What the largest child of this process has held, as far as somebody looked while it ran.

    An ended process has no mark to read. A mark only rises, so that one look near the end is as good as many.
    """

    peak = 0
    """Bytes."""

    @classmethod
    def look_at(cls, pid: int) -> None:
        """Read a running child's mark; 20 µs on Linux. One that has just ended changes nothing."""
        cls.peak = max(cls.peak, _peak_of(pid) or 0)


def peaks() -> dict[str, float | None]:
    """What a result and a pong say of memory."""
    return {"peak_rss_mb": peak_rss_mb(), "peak_vram_mb": peak_vram_mb()}


def peak_rss_mb() -> float | None:
    """The most memory this process has held since its start plus the most that one of its children has, in MB.

    None where the system does not say.
    """
    own = _peak_of(os.getpid())
    return None if own is None else round((own + _largest_child(own)) / 1e6, 1)


def peak_vram_mb() -> float | None:
    """The most memory that torch has reserved on all NVIDIA or AMD GPUs since ``reset_peak_vram``, in MB.

    None where torch holds no GPU. Nothing is imported and no GPU woken for it.
    """
    cuda = _cuda()
    if cuda is None:
        return None
    return round(sum(cuda.max_memory_reserved(number) for number in range(cuda.device_count())) / 1e6, 1)


def reset_peak_vram() -> None:
    """Count ``peak_vram_mb`` anew, from what is reserved now."""
    cuda = _cuda()
    if cuda is not None:
        for number in range(cuda.device_count()):
            cuda.reset_peak_memory_stats(number)


def _cuda() -> Any:
    """torch.cuda, if it is at work here already."""
    cuda = sys.modules.get("torch.cuda")
    with contextlib.suppress(AttributeError):  # another thread is just importing it
        return cuda if cuda is not None and cuda.is_initialized() else None
    return None


def _largest_child(own: int) -> int:
    """The most bytes that one of this process's children has held; ``own`` are this process's."""
    if sys.platform == "win32":
        return Children.peak
    import resource

    ended = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if sys.platform == "darwin":  # counts a program from its own start, in bytes
        return ended
    return 1024 * ended if 1024 * ended > FROM_US * own else Children.peak


def _peak_of(pid: int) -> int | None:
    """The most bytes that a running process has held; None where that cannot be known."""
    if sys.platform == "win32":
        with contextlib.suppress(ImportError):
            import psutil

            with contextlib.suppress(psutil.Error):
                return int(psutil.Process(pid).memory_info().peak_wset)
    elif sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if pid == os.getpid() else None
    else:
        with contextlib.suppress(OSError):
            mark = HIGH_WATER.search(Path(f"/proc/{pid}/status").read_bytes())
            return 1024 * int(mark[1]) if mark else None
    return None
