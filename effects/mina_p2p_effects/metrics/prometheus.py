"""A node's figures in Prometheus' text format. Needs the extra ``metrics``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

from mina_p2p.errors import CallerError
from mina_p2p_effects.metrics.figures import Figure, Figures
from mina_p2p_effects.metrics.status import Status


def require_extra() -> None:
    """Say what to install, where it is missing.

    :raises CallerError: with the command that installs it.
    """
    if find_spec("prometheus_client") is None:
        raise CallerError("metrics need the Prometheus client; install it with: pip install 'mina-p2p[metrics]'")


class Exposition:
    """Renders one status after another."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        require_extra()
        self._figures = Figures(clock)

    def render(self, status: Status) -> bytes:
        """The text for one scrape."""
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - an extra
        from prometheus_client.registry import Collector  # noqa: PLC0415

        families = [_family(figure) for figure in self._figures.of(status)]

        class Once(Collector):
            def collect(self) -> Iterator[Any]:
                return iter(families)

        registry = CollectorRegistry(auto_describe=False)
        registry.register(Once())
        return generate_latest(registry)


def _family(figure: Figure) -> Any:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415 - an extra

    kind: Any = CounterMetricFamily if figure.is_sum else GaugeMetricFamily
    family = kind(figure.name, figure.text, labels=[figure.label] if figure.label else [])
    for of, value in figure.values.items():
        family.add_metric([of] if figure.label else [], value)
    return family
