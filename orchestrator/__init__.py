"""The host: chains the workers stage by stage. It shares ``schemas/`` with them and imports nothing of theirs."""
