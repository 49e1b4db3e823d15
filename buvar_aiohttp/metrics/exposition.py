"""The exposition: all metrics as Prometheus reads them, whichever worker answers.

A process that is alone tells what it has. Of several workers one reads what all of them share: sums of counters and
histograms, gauges as their ``multiprocess_mode`` says, and what the system knows of each of their processes.
"""

from __future__ import annotations

import typing as t

import attrs
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Summary
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from .latency import NAME, total

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.forking.board import Board, WorkerStatus

    from .shared import Shared

#: how often to read the files again, where one was taken away in between
TRIES: t.Final = 5


@attrs.frozen(eq=False)
class Alone(Collector):
    """The metrics of *registries* in this process."""

    registries: tuple[CollectorRegistry, ...]

    def collect(self) -> c.Iterator[Metric]:
        """Yield all metrics."""
        for each in self.registries:
            yield from _with_total(each.collect())


@attrs.frozen(eq=False)
class Together(Collector):
    """The metrics of all workers, from what they have *shared*; *registry* has what is the same in each of them."""

    shared: Shared
    board: Board
    registry: CollectorRegistry

    def collect(self) -> c.Iterator[Metric]:
        """Yield all metrics."""
        yield from _with_total(self._read())
        yield from self._same()
        workers = list(self.board)
        yield _states(workers)
        yield from _processes(workers)

    def _read(self) -> list[Metric]:
        pids = {str(each.index): str(each.pid) for each in self.shared.rows()}
        merge: c.Callable[[list[str]], c.Iterable[Metric]] = MultiProcessCollector.merge
        for left in reversed(range(TRIES)):
            try:
                return [_name_pids(each, pids) for each in merge(self.shared.files())]
            except FileNotFoundError:  # a worker has just begun, or ended
                if not left:
                    raise
        return []

    def _same(self) -> c.Iterator[Metric]:
        for each in _members(self.registry):
            if isinstance(each, Info | PlatformCollector):
                yield from each.collect()


def _with_total(metrics: c.Iterable[Metric]) -> c.Iterator[Metric]:
    for each in metrics:
        yield each
        if each.name == NAME:
            yield total(each)


def _name_pids(metric: Metric, pids: c.Mapping[str, str]) -> Metric:
    """Have gauges that each worker has of its own name its process, in place of its row."""
    if getattr(metric, "_multiprocess_mode", "") in {"all", "liveall"}:
        for each in metric.samples:
            each.labels["pid"] = pids.get(each.labels["pid"], each.labels["pid"])
    return metric


def _states(workers: list[WorkerStatus]) -> Metric:
    made = GaugeMetricFamily("buvar_workers", "Workers, by where they are in their lives.", labels=["state"])
    for state in ("booting", "ready", "stopping"):
        made.add_metric([state], sum(each.state == state for each in workers))
    return made


def _processes(workers: list[WorkerStatus]) -> c.Iterable[Metric]:
    found: dict[str, Metric] = {}
    for worker in workers:
        labels = {"slot": str(worker.slot), "pid": str(worker.pid)}
        for metric in _process(worker.pid):
            whole = found.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            for sample in metric.samples:
                whole.add_sample(sample.name, labels, sample.value)
    return found.values()


def _process(pid: int) -> c.Iterable[Metric]:
    return ProcessCollector(pid=lambda: pid, registry=None).collect()


def functions(registry: CollectorRegistry) -> c.Iterator[tuple[t.Any, float]]:
    """Yield the values of gauges that have a function, and what the functions say now."""
    for each in _members(registry):
        if isinstance(each, Gauge):
            parent: t.Any = each
            for gauge in [parent] if parent._is_observable() else list(parent._metrics.values()):
                if "_child_samples" in vars(gauge):
                    yield gauge._value, next(iter(gauge._child_samples())).value


def unshared(registry: CollectorRegistry) -> list[str]:
    """Return what a registry has that workers cannot share, by class and name."""
    shared = (Counter, Gauge, Histogram, Summary, Info, ProcessCollector, PlatformCollector, GCCollector)
    left = [each for each in _members(registry) if not isinstance(each, shared)]
    return sorted(f"{type(each).__qualname__} {getattr(each, '_name', '')}".rstrip() for each in left)


def _members(registry: CollectorRegistry) -> list[Collector]:
    return list(registry._collector_to_names)
