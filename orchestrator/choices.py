"""What an option of ``storygen run``, or a line of a batch, chooses among."""

from __future__ import annotations

FORMATS = {"9:16": (1080, 1920), "16:9": (1920, 1080), "1:1": (1080, 1080)}
"""Shape of the film -> its width and height in pixels."""
CAPTIONS = {
    "burn": "post.input.subtitles_mode=burn",
    "soft": "post.input.subtitles_mode=carry",
    "off": "post.input.subtitles=null",
}
"""Where captions go -> the setting that says so to ``compose``."""
