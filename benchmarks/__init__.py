"""Benchmarks: ratios side by side in one run. Outside of ``make test``; only a smoke test of the harness is in it."""
