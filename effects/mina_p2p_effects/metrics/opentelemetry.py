"""A node's figures sent to an OpenTelemetry collector, by OTLP over HTTP. Needs the extra ``metrics``.

The library sends from a thread of its own, at its own times. It never looks at the node: it is given finished figures by `update`, on the
node's loop, and sends the newest ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

from mina_p2p.errors import CallerError
from mina_p2p_effects.metrics.figures import Figure, Figures
from mina_p2p_effects.metrics.status import Status


def require_extra() -> None:
    """Say what to install, where it is missing.

    :raises CallerError: with the command that installs it.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise CallerError("this needs the OpenTelemetry SDK; install it with: pip install 'mina-p2p[metrics]'")


class OtlpExport:
    """Sends while its ``with`` block runs, and once more at its end.

    :param endpoint: the collector's URL for metrics, such as ``http://localhost:4318/v1/metrics``.
    :param every_s: between two sendings.
    :param peer_id: names this node to the collector, as ``service.instance.id``.
    """

    def __init__(self, endpoint: str, *, every_s: float, peer_id: str) -> None:
        require_extra()
        self._endpoint = endpoint
        self._every_s = every_s
        self._peer_id = peer_id
        self._figures = Figures()
        self._newest: dict[str, Figure] = {}
        self._known: set[str] = set()
        self._provider: Any = None

    def __enter__(self) -> Self:
        """Begin to send."""
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

        exporter = OTLPMetricExporter(endpoint=self._endpoint, timeout=5)
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=self._every_s * 1000, export_timeout_millis=5000)
        resource = Resource.create({"service.name": "mina_p2p", "service.instance.id": self._peer_id})
        self._provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Send what there is, and end."""
        self._provider.shutdown(timeout_millis=5000)

    def update(self, status: Status) -> None:
        """Give the newest figures."""
        figures = {figure.name: figure for figure in self._figures.of(status)}
        self._newest = figures
        meter = self._provider.get_meter("mina_p2p")
        for name, figure in figures.items():
            if name not in self._known:
                self._known.add(name)
                make = meter.create_observable_counter if figure.is_sum else meter.create_observable_gauge
                make(name, callbacks=[self._observer(name)], description=figure.text)

    def _observer(self, name: str) -> Callable[[Any], Iterable[Any]]:
        from opentelemetry.metrics import Observation  # noqa: PLC0415 - an extra

        def observe(_: Any) -> Iterable[Any]:
            figure = self._newest.get(name)
            if figure is None:
                return []
            return [Observation(value, {figure.label: of} if figure.label else None) for of, value in figure.values.items()]

        return observe
