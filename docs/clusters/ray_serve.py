"""A network on a Ray cluster of two nodes on this machine, as a model for OpenAI's clients.

EMBER_BENCH_SERVE_KEY=... python ray_serve.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from openai import OpenAI
from ray import serve
from ray.cluster_utils import Cluster

from ember_bench.serving.ray_app import Served, app

PORT = 8000


@contextmanager
def two_nodes() -> Iterator[str]:
    """Yield the address of a cluster of two nodes of one processor each."""
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    cluster.add_node(num_cpus=1)
    try:
        yield cluster.address
    finally:
        ray.shutdown()
        cluster.shutdown()


def start(address: str, port: int, served: Served) -> None:
    """Serve networks on a cluster; cards and grids of the working directory go along."""
    ray.init(address, runtime_env={"working_dir": "."}, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(app(served))


def client(port: int) -> OpenAI:
    """Return a client of what is served."""
    key = os.environ["EMBER_BENCH_SERVE_KEY"]
    return OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key)


def main() -> None:
    """Serve a network in two processes, and ask it."""
    parameters = {"model": "simulated:small", "k": 5}
    with two_nodes() as address:
        start(address, PORT, Served(networks=["vote"], parameters=parameters, replicas=2))
        question = [{"role": "user", "content": "What is 17 * 23?"}]
        answer = client(PORT).chat.completions.create(model="vote", messages=question)
        print(answer.choices[0].message.content, answer.usage)
        serve.shutdown()


if __name__ == "__main__":
    main()
