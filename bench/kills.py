"""A hundred kills without warning: is every film like an undisturbed one in the end, and nothing made twice?"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from killing import contents, killed_again_and_again  # noqa: E402 - tests/ is found only now
from support import SMALL, STORY  # noqa: E402

RUNS, KILLS_EACH = 20, 5


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        story = folder / "lamps.md"
        story.write_text(STORY, encoding="utf-8")
        first = ["run", str(story), "--out", str(folder / "undisturbed"), "--json", *SMALL]
        done = subprocess.run([sys.executable, "-m", "orchestrator", *first], cwd=ROOT, check=True, capture_output=True)
        lines = done.stdout.splitlines()
        film = contents(folder / "undisturbed" / "final.mp4")
        kills = survivors = twice = other = 0
        for seed in range(RUNS):
            outcome = killed_again_and_again(story, folder / f"run-{seed}", seed, KILLS_EACH, len(lines) // 3)
            kills += outcome.kills
            survivors += len(outcome.survivors)
            twice += len(outcome.twice)
            other += outcome.film != film
            print(f"  seed {seed:3}: {outcome}", flush=True)
    print(f"kills  {kills} of the host by SIGKILL in {RUNS} runs (seeds 0 to {RUNS - 1}), each then finished:")
    print(f"       {other} films differ from the undisturbed one, {twice} items made twice, {survivors} survivors")
    return 1 if other or twice or survivors else 0


if __name__ == "__main__":
    sys.exit(main())
