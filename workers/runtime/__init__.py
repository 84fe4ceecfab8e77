"""How workers speak: flags, streams, validation, errors, artifacts. Standard library and jsonschema only."""
