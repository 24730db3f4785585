"""What an instance of either model begins with: its settings, and a warm engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from export.serving.engine import Engine
from export.serving.providers import Provider
from export.triton.repository import EXPORT


@dataclass(frozen=True)
class Instance:
    """What Triton tells an instance of a model of itself (`initialize`'s argument)."""

    arguments: Mapping[str, str]

    @property
    def config(self) -> dict[str, Any]:
        """The model's config.pbtxt."""
        config: dict[str, Any] = json.loads(self.arguments["model_config"])
        return config

    def parameter(self, name: str) -> str:
        """A parameter of config.pbtxt's."""
        value: str = self.config["parameters"][name]["string_value"]
        return value

    def engine(self, slots: int) -> Engine:
        """An engine on the export beside the model, which has fed a segment and a step."""
        gpu = self.arguments["model_instance_kind"] == "GPU"
        engine = Engine.load(
            Path(self.arguments["model_repository"]) / self.arguments["model_version"] / EXPORT,
            cast(Provider, self.parameter("provider")),
            slots=slots,
            threads=int(self.parameter("threads")),
            device_id=int(self.arguments["model_instance_device_id"]) if gpu else 0,
        )
        warm = engine.open()
        engine.feed(warm, np.zeros(2, np.int64))
        engine.step({warm: 0})
        engine.close(warm)
        return engine
