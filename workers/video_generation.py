"""The video_generation worker. ``python workers/video_generation.py --help`` says how to call it."""

from runtime.request import Family
from runtime.worker import main

FAMILY = Family("video_generation", prefer=("ken_burns",))

if __name__ == "__main__":
    main(FAMILY)
