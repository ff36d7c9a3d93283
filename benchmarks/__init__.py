"""What is measured: `make bench`, or a part by `python -m benchmarks.NAME`. README.md here has the last figures."""

import personal  # noqa: F401 - first, since it says how OpenMP's threads wait
