"""The embedded default: two ordinary checkpoints made of parts that the Python package index serves."""
