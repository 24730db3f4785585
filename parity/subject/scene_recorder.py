"""Recording a segment's scene for diagnosis, tensor by tensor as the segment is computed."""

from collections.abc import Mapping

from torch import Tensor

from parity.subject.scene import Operation, Scene
from parity.subject.segment_run import SegmentRun


class SceneRecorder:
    """What a model computes of a segment from the reference's inputs, and what was recorded of it, by key."""

    def __init__(self, run: SegmentRun, parameters: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
        """`parameters` are the subject's own, `given` what the reference was given besides."""
        self.run = run
        self.subject = {key: parameter.detach() for key, parameter in parameters.items()}
        self.reference = dict(given)

    def note(self, name: str, tensor: Tensor) -> Tensor:
        """Keep a tensor as it is computed, and go on with what was recorded of it."""
        self.keep(name, tensor, name)
        return self.run.substitute(name, tensor)

    def keep(self, key: str, tensor: Tensor, name: str) -> None:
        """Keep a tensor under `key`, and what was recorded of the model's tensor `name` beside it."""
        self.subject[key] = tensor.detach()
        recorded = self.run.recorded(name)
        if recorded is not None:
            self.reference[key] = recorded.double()

    def begin(self, key: str, tensor: Tensor) -> None:
        """Keep what both begin with."""
        self.subject[key] = self.reference[key] = tensor

    def scene(self, operations: Mapping[str, Operation]) -> Scene:
        """All that was kept, as these operations compute it."""
        return Scene(operations, self.reference, self.subject, {})
