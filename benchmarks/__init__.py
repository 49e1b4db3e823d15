"""Benchmarks: what buvar costs, as ratios beside its peers in one run. See docs/benchmarks.md."""
