"""Score parts on a Ray cluster, by Ray Data: the same scorer, in a process for each processor or GPU."""

import json
import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from pellucid.anomaly.features import Features
from pellucid.errors import MissingExtraError
from pellucid.scoring.part import Part
from pellucid.scoring.scorer import Recipe, Scorer
from pellucid.scoring.storage import packed, unpacked

_MOST_BLOCKS = 10_000  # of parts: Ray keeps a record of each


_LOCAL = {
    # Ray's only switch for listening on the loopback address, whatever the system; read when it is imported
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # no report of use, and no question to the cloud's metadata address for it
    "RAY_USAGE_STATS_ENABLED": "0",
}


@contextmanager
def _settings(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that hold for a while; processes started then keep them."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Worker:
    """What runs in each of Ray's processes: loads the run once, then scores part after part."""

    def __init__(self, recipe: Mapping[str, Any]) -> None:
        self._scorer = Scorer(Recipe(**recipe))

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A part's number and JSON -> its number and features as bytes."""
        record = json.loads(row["part"])
        record["names"] = tuple(record["names"])
        record["problems"] = tuple((at, reason) for at, reason in record["problems"])
        return {"number": row["number"], "features": packed(self._scorer.score(Part(**record)))}


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Keep what SIGTERM does: Ray sets handlers of its own, which end the process in other ways."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def score_on_ray(
    parts: Mapping[int, Part], recipe: Recipe, workers: int | None
) -> Iterator[tuple[int, Features]]:
    """Score parts on the cluster that $RAY_ADDRESS names, or on one of this machine that nobody else reaches.

    The run and the pictures must be there on every machine under the same path; URLs are. A local cluster
    listens on the loopback address only, and reports nothing to Ray's makers.

    Args:
        parts: By number.
        recipe: What to score with; on `cuda` each process takes a GPU.
        workers: How many processes; None takes every processor, or every GPU, of the cluster.

    Yields:
        A part's number and its features, in the order of the numbers.

    Raises:
        MissingExtraError: If Ray is not installed.
    """
    given = os.environ.get("RAY_ADDRESS")
    with _settings({} if given else _LOCAL):
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise MissingExtraError("--engine ray needs Ray. Run: pip install 'pellucid[ray]'") from error
        logging.getLogger("ray").setLevel(logging.WARNING)
        started = not ray.is_initialized()
        if started:  # `local`: not one that some other user of this machine has left an address of
            address = given or "local"
            with _sigterm_kept():
                ray.init(address, log_to_driver=False, configure_logging=False, include_dashboard=False)
    try:
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        gpus = 1 if recipe.device.startswith("cuda") else 0
        there: Mapping[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        count = max(1, workers or int(there.get("GPU" if gpus else "CPU", 1)))
        rows = [{"number": number, "part": json.dumps(asdict(part))} for number, part in parts.items()]
        blocks = ray.data.from_items(rows, override_num_blocks=min(len(rows), _MOST_BLOCKS))
        scored = blocks.map(
            Worker,  # type: ignore[arg-type]
            fn_constructor_args=(asdict(recipe),),
            compute=ray.data.ActorPoolStrategy(size=min(count, len(rows))),
            num_cpus=1,
            num_gpus=gpus,
        )
        for row in scored.iter_rows():
            yield row["number"], unpacked(row["features"])
    finally:
        if started:
            ray.shutdown()
