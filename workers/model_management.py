"""The model_management worker. ``python workers/model_management.py --help`` says how to call it."""

from runtime.request import Family
from runtime.worker import main

FAMILY = Family("model_management", prefer=("huggingface", "catalogue"))

if __name__ == "__main__":
    main(FAMILY)
