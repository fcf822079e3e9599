"""A Ray cluster of two nodes on this machine, and a grid that runs on it.

python ray_here.py pilot.yaml results
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster

import ember_bench


def main(grid: str, results: str) -> None:
    """Start two nodes of one processor each, and run a grid there."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    try:
        found = ember_bench.run(
            grid, results=results, engine=f"ray:{cluster.address}", mlflow=False, quiet=True
        )
        print(found)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
