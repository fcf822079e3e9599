"""Servers that answer a few requests at a time: `python -m benchmarks.slow_servers`.

An endpoint with all defaults makes 500 calls at once to a server that refuses none. Printed is the
table of docs/limits.md: which share of the calls was answered, and of what the server can do was
used. Time is virtual, so it takes seconds.
"""

from __future__ import annotations

import argparse
from itertools import product

from tests.support.slots import LATENCIES, Slots, ask_all

SLOTS = (1, 2, 8)


def row(slots: int, latency: str, options: argparse.Namespace) -> str:
    """Return a line of the table: a server that drops what is given up, and one that keeps it."""
    cells = [f"| {slots} | {latency} "]
    for keeps in (False, True):
        server = Slots(slots, latency, options.seconds, keeps, seed=options.seed)
        outcome = ask_all(server, options.calls)
        used = min(1.0, outcome.throughput)
        cells.append(f"{100 * outcome.answered:.0f} % | {100 * used:.0f} % | {len(server.draws)} ")
    return "| ".join(cells) + "|"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slow_servers", description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=5.0, help="mean of an answer")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    columns = ("slots", "latency", "drops: answered", "used", "requests", "keeps: answered")
    print(f"| {' | '.join((*columns, 'used', 'requests'))} |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for slots, latency in product(SLOTS, LATENCIES):
        print(row(slots, latency, options))


if __name__ == "__main__":
    main()
