"""A peer that needs no environment: urllib in a row. What it does wrong is told it."""

from __future__ import annotations

import sys
import time
from urllib.request import Request, urlopen

from benchmarks.peers.measured import Job, questions, serve_jobs, timed
from tests.benchmarks.wire import body


def ask_all(job: Job, does: str) -> int:
    if does == "dies":
        raise RuntimeError("the peer is broken")
    if does == "sleeps":
        time.sleep(3600)
    if does == "makes answers up":
        return job.calls
    for question, _ in questions(job.items):
        for _ in range(job.draws):
            with urlopen(Request(f"{job.base_url}/chat/completions", data=body(question))):
                pass
    return job.calls if does == "works" else job.calls - 1


def main() -> None:
    print("libraries say what they like")
    serve_jobs(lambda job: timed(lambda one: ask_all(one, sys.argv[1]), job), ["pytest"])


if __name__ == "__main__":
    main()
