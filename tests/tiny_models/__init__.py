"""Real-class models with weights that fit in a few megabytes, built in a second or two, the same every time."""
