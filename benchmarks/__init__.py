"""Benchmarks: ratios side by side in one run. Not in ``make test``, but for a smoke test of the harness."""
