"""The speech_synthesis worker. ``python workers/speech_synthesis.py --help`` says how to call it."""

from runtime.request import Family
from runtime.worker import main

FAMILY = Family("speech_synthesis", prefer=("espeak",))

if __name__ == "__main__":
    main(FAMILY)
