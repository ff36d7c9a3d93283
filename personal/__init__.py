"""Personal: a multimodal assistant that remembers your people, pets and things, and calls them by name."""

__version__ = "0.1.0"
