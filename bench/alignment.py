"""How near aligned words come to the truth, in seven languages, when a recogniser makes mistakes; and what it takes."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "workers")]

from aligning import LANGUAGES, Heard, Narration, heard, in_order, narration, percentile, score  # noqa: E402 - found now

from media.alignment import Alignment, aligned  # noqa: E402

SECONDS, SHARE, SEEDS = 480, 0.15, (0, 1, 2, 3, 4)
TELLING = 1
"""Seed of the order of sentences."""
LONG_ROUNDS = 22
RIGHT_AIM, MEDIAN_AIM_S, P95_AIM_S = 0.99, 0.12, 0.4


def timed(truth: Narration, said: Heard, *, pauses: bool = True) -> tuple[Alignment, float]:
    """The alignment and the seconds it took."""
    began = time.perf_counter()
    found = aligned(
        truth.script,
        said.words,
        language=truth.language,
        duration_s=truth.duration_s,
        sounding=truth.sounding if pauses else (),
    )
    return found, time.perf_counter() - began


def row(language: str, *, bad: bool = False, pauses: bool = True) -> bool:
    """One language over all seeds; returns whether the aims are met."""
    truth = narration(language, SECONDS, TELLING)
    unheard, right, took = list[float](), list[float](), list[float]()
    whole = True
    for seed in SEEDS:
        said = heard(truth, SHARE, seed, bad=bad)
        found, seconds = timed(truth, said, pauses=pauses)
        result = score(truth, said, found)
        unheard, right, took = [*unheard, *result.unheard], [*right, result.right], [*took, seconds]
        whole &= [word.word for word in found.words] == truth.script and in_order(found, truth.duration_s)
    median, p95 = statistics.median(unheard), percentile(unheard, 95)
    good = whole and statistics.mean(right) >= RIGHT_AIM and median <= MEDIAN_AIM_S and p95 <= P95_AIM_S
    print(
        f"  {language}  {len(truth.words):5d} words {truth.duration_s:5.0f} s  right {statistics.mean(right):.4f} "
        f"(worst {min(right):.4f})  unheard {len(unheard):4d}: median {1000 * median:3.0f} ms, "
        f"p95 {1000 * p95:4.0f} ms, worst {1000 * max(unheard):4.0f} ms  {'in order' if whole else 'NOT IN ORDER'}  "
        f"{60_000 * statistics.median(took) / truth.duration_s:3.0f} ms a minute"
    )
    return good


def long() -> None:
    """Three hours, right and wrong."""
    for language, other in (("en", "de"), ("zh", "ja")):
        once, wrong = narration(language, SECONDS, TELLING), narration(other, SECONDS, TELLING)
        whole, foreign = repeated(once), repeated(wrong)
        for name, said in (("spoken", heard(whole, SHARE, SEEDS[0]).words), ("another text", foreign.words)):
            before = psutil.Process().memory_info().rss
            found, seconds = timed(whole, Heard(said, []), pauses=False)
            grown = psutil.Process().memory_info().rss - before
            print(
                f"  {language}  {len(whole.words)} words, {whole.duration_s / 3600:.1f} h, {name}: mismatch "
                f"{found.mismatch:.2f}, {seconds:.1f} s, {60_000 * seconds / whole.duration_s:.0f} ms a minute, "
                f"{grown / 2**20:.0f} MiB more"
            )


def repeated(once: Narration) -> Narration:
    words = [
        {name: value if name == "word" else value + turn * once.duration_s for name, value in word.items()}
        for turn in range(LONG_ROUNDS)
        for word in once.words
    ]
    return Narration(once.language, words, [], once.duration_s * LONG_ROUNDS)


def main() -> int:
    print(f"align  {SHARE:.0%} of words dropped, misheard, split, merged or shifted by up to 150 ms, seeds {SEEDS}")
    print(
        f"       aims: right ≥ {RIGHT_AIM}, starts of unheard words off by ≤ {1000 * MEDIAN_AIM_S:.0f} ms median, "
        f"≤ {1000 * P95_AIM_S:.0f} ms p95"
    )
    met = [row(language) for language in LANGUAGES]
    print("       without the recording's pauses:")
    met += [row(language, pauses=False) for language in LANGUAGES]
    print("       a bad recogniser: up to 5 words lost at once, swallowed by the one before, every time off by ±40 ms:")
    for language in LANGUAGES:
        row(language, bad=True)
    print("       long ones:")
    if "--long" in sys.argv:
        long()
    else:
        print("  --long shows them (some minutes)")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
