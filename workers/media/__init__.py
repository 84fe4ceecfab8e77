"""How workers handle media: FFmpeg and PyAV, fonts, captions, audio. No models."""
