"""The media_processing worker. ``python workers/media_processing.py --help`` says how to call it."""

from runtime.request import Family
from runtime.worker import main

FAMILY = Family("media_processing", prefer=("ffmpeg",))

if __name__ == "__main__":
    main(FAMILY)
