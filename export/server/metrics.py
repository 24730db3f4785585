"""What Prometheus reads of a server."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """Counters of one server. What is there at the moment is asked when it is read."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "sharnn_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.tokens = Counter("sharnn_tokens", "Tokens fed.", ["kind"], registry=self.registry)
        self.step = Histogram(
            "sharnn_step_seconds",
            "Time of a step: a token of every text that generates, and a part of one prompt.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.first = Histogram(
            "sharnn_first_token_seconds",
            "Time from a request for text to its first token.",
            buckets=(*SECONDS, 10, 30, 60),
            registry=self.registry,
        )
        self.gauges = {
            name: Gauge(f"sharnn_{name}", text, registry=self.registry)
            for name, text in (
                ("slots", "Sequences that can be in memory."),
                ("active", "Texts that are fed or generated now."),
                ("waiting", "Texts that wait for a slot."),
                ("sequences", "Sequences that are open."),
                ("in_memory", "Sequences that are in memory; the others are in files."),
            )
        }

    def text(self) -> bytes:
        """All of it in Prometheus's format."""
        return generate_latest(self.registry)
