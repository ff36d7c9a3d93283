"""Personal: a multimodal assistant that remembers your people, pets and things, and calls them by name."""

import os

__version__ = "0.1.0"

# A thread of OpenMP that waits spins, by default for 3 ms: long enough to take the cores from other work (a look then
# takes 2.1 s instead of 0.2 s beside the page's server). Not to spin at all costs half of a language model's speed. So
# it spins for some tens of microseconds, as long as from one product to the next. To be said before torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
