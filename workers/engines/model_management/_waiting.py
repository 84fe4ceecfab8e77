"""Waiting for threads in such a way that a request can be cancelled all along."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TypeVar

POLL_S = 0.2
Result = TypeVar("Result")


def all_of(jobs: list[Callable[[], Result]], at_once: int, look: Callable[[], None]) -> list[Result]:
    """What the jobs return, in any order; ``look`` is called some times a second and may raise.

    When it does, or a job does, jobs that have not begun never begin; those at work are not waited for.
    """
    threads = ThreadPoolExecutor(at_once)
    try:
        pending = {threads.submit(job) for job in jobs}
        results = []
        while pending:
            done, pending = wait(pending, POLL_S, FIRST_COMPLETED)
            results += [job.result() for job in done]
            look()
        return results
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
