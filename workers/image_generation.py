"""The image_generation worker. ``python workers/image_generation.py --help`` says how to call it."""

from runtime.request import Family
from runtime.worker import main

FAMILY = Family("image_generation")

if __name__ == "__main__":
    main(FAMILY)
