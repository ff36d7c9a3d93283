"""The Concepts tab: your people, pets and things as cards; add one, edit one, export and import them."""

from personal.ui.concepts.tab import Concepts

__all__ = ["Concepts"]
