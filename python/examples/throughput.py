#!/usr/bin/env python3
"""Draws one figure: what a workload got done over time, with the calls marked.

    gpremap run configs/experiments/resize-under-stream.toml --json result.json
    python/examples/throughput.py result.json throughput.png
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import gpremap  # noqa: E402  (beside this folder)


def rates(one: gpremap.Json, bins: int = 200) -> tuple[list[float], list[float]]:
    """Seconds, and MiB a second in the time around them."""
    end = max(one["t_ns"], default=0) + 1
    width = end / bins
    got = [0.0] * bins
    for t_ns, size in zip(one["t_ns"], one["bytes"]):
        got[min(bins - 1, int(t_ns / width))] += size
    return [(i + 0.5) * width / 1e9 for i in range(bins)], [size / 2**20 / (width / 1e9) for size in got]


def main() -> int:
    if len(sys.argv) != 3:
        print(f"usage: {sys.argv[0]} RESULT FIGURE", file=sys.stderr)
        return 2
    result = gpremap.read_result(sys.argv[1])
    by_name = gpremap.series(result)
    if not by_name:
        print(f"{sys.argv[1]}: it has no series: the scenario has no [[workload]]", file=sys.stderr)
        return 2
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        print("no figure: this needs matplotlib (apt install python3-matplotlib)", file=sys.stderr)
        return 77

    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    for name, one in by_name.items():
        axes.plot(*rates(one), label=name)
    for call in gpremap.calls(result):
        axes.axvline(call["begin_ns"] / 1e9, color="grey", linewidth=0.5, alpha=0.5)
    axes.set_xlabel("time of the run (s); grey: a call begins")
    axes.set_ylabel("throughput (MiB/s)")
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.savefig(sys.argv[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())
