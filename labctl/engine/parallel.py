"""Work on several nodes at the same time, in threads that an interruption (Ctrl-C, SIGTERM) does not wait for.

Not for saves: what a broken-off one wrote is removed, and its nodes run on, so what has begun must have ended.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


@contextmanager
def workers() -> Iterator[ThreadPoolExecutor]:
    """As many threads as there are cores. The block ends with their work; interrupted, it ends at once, and what is queued never begins."""
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        try:
            yield pool
        except Exception:  # of one node: what was begun on the others is finished
            pool.shutdown()
            raise
        pool.shutdown()
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def at_once(jobs: Mapping[Key, Callable[[], Value]]) -> dict[Key, Value]:
    """Results of all jobs, run at the same time; one alone runs here. Threads never hold up the end of the program (Ctrl-C)."""
    if len(jobs) < 2:
        return {key: job() for key, job in jobs.items()}
    results: dict[Key, Value] = {}
    failures: list[BaseException] = []

    def run(key: Key, job: Callable[[], Value]) -> None:
        try:
            results[key] = job()
        except BaseException as failure:  # handed over to the caller below
            failures.append(failure)

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in jobs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return {key: results[key] for key in jobs}
