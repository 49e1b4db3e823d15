"""Latencies of requests: a histogram, and the number of requests, which it knows too.

Each request costs one observation. Where workers share their values, a `Histogram` takes a lock and asks for the pid
with each number that it writes; only the loop of its worker writes to this one, so that it does without, in a file of
its own.
"""

from __future__ import annotations

import bisect
import math
import typing as t

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.utils import floatToGoString

if t.TYPE_CHECKING:
    import collections.abc as c

    from prometheus_client.metrics_core import Metric

    Observe: t.TypeAlias = c.Callable[[float], None]
    #: returns what observes the latencies of requests with these labels
    Latency: t.TypeAlias = c.Callable[[str, str, str], Observe]

NAME: t.Final = "http_request_duration_seconds"
HELP: t.Final = "How long requests took, in seconds."
LABELS: t.Final = ("method", "route", "status")


def alone(buckets: c.Sequence[float], registry: CollectorRegistry) -> Latency:
    """Return a histogram that is in *registry*; *buckets* are upper bounds, in seconds."""
    histogram = Histogram(NAME, HELP, LABELS, buckets=buckets, registry=registry)
    return lambda *labels: histogram.labels(*labels).observe


def open_file(path: str) -> t.Any:
    """Return the file of values *path*, which is made if there is none."""
    make: t.Any = MmapedDict
    return make(path)


def shared(buckets: c.Sequence[float], file: t.Any) -> Latency:
    """Return a histogram that is in *file*, as `open_file` opens it, and goes on with what is there."""
    bounds = [*buckets, math.inf]
    key: c.Callable[..., str] = mmap_key
    text: c.Callable[[float], str] = floatToGoString

    def labelled(*labels: str) -> Observe:
        bucket_labels = [*LABELS, "le"]
        keys = [key(NAME, f"{NAME}_bucket", bucket_labels, [*labels, text(each)], HELP) for each in bounds]
        keys.append(key(NAME, f"{NAME}_sum", LABELS, labels, HELP))
        values = [file.read_value(each)[0] for each in keys]
        write = file.write_value

        def observe(seconds: float) -> None:
            for place, amount in ((-1, seconds), (bisect.bisect_left(bounds, seconds), 1.0)):
                values[place] += amount
                write(keys[place], values[place], 0.0)

        return observe

    return labelled


def total(latency: Metric) -> Metric:
    """Return the number of requests, which their *latency* tells, as a metric of its own."""
    made = CounterMetricFamily("http_requests", "Requests that were answered, or given up.", labels=LABELS)
    for sample in latency.samples:
        if sample.name == f"{NAME}_count":
            made.add_metric([sample.labels[each] for each in LABELS], sample.value)
    return made
