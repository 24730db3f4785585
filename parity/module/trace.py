"""Following a module between its submodules: every call of a function of torch becomes an operation of the scene.

Keys are the path of the submodule whose `forward` calls and the function's name ("h.0.attn:softmax", "#2" behind a
second call); the whole module's own calls have "module" for a path. Inside a submodule whose operation is known as a
whole nothing is followed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from parity.diagnosis.definition import Operands
from parity.diagnosis.matching import equals
from parity.diagnosis.operations import OPERATIONS
from parity.module.functions import Step, expansion_of, other_calls, step_of, steps_before
from parity.module.hooks import Listener, name_of
from parity.module.nested import mapped, tensors_in
from parity.module.operations import operations_of, parameter_key
from parity.subject.scene import Operation
from parity.subject.scene_recorder import SceneRecorder

STEP = "_parity_step"
"""The attribute under which a tensor keeps the key of the operation that computed it."""
WHOLE = "module"
"""The path of the module itself, in keys."""
UNKNOWN = "opaque"
"""The name of an operation that cannot be repeated; diagnosis takes what the subject has."""


@dataclass(frozen=True)
class Frame:
    """A module that is being computed."""

    path: str
    followed: bool
    sizes: set[int]
    """Sizes of what its calls were given so far."""


class Tracer(TorchFunctionMode, Listener):
    """The operations of one run, as they are called."""

    def __init__(self, module: nn.Module, recorder: SceneRecorder) -> None:
        super().__init__()
        self.module, self.recorder = module, recorder
        self.operations: dict[str, Operation] = {}
        self._constants: set[str] = set()
        self._calls: Counter[str] = Counter()
        self._frames = [Frame(WHOLE, True, set())]
        self._quiet = False
        parameters = [*module.named_parameters(), *module.named_buffers()]
        self._parameters = {id(p): parameter_key(*_split(name)) for name, p in parameters}

    def following(self) -> Tracer:
        """See `Listener`: itself."""
        return self

    def began(self, module: nn.Module, taken: list[Tensor]) -> None:
        """See `Listener`. Where the module is a layer that is known as a whole, that is its operation."""
        self._quiet = True
        whole = operations_of(module, "", "output", [self.key(x) for x in taken], taken)
        self._quiet = False
        if whole:
            self.operations |= whole
            self._frames = [Frame(WHOLE, False, set())]

    def ended(self, module: nn.Module, output: Any) -> None:
        """See `Listener`. What a layer that is known as a whole puts out has the keys of its operations."""
        if not self._frames[0].followed:
            self._quiet = True
            mapped(output, "output", self._put_out)
            self._quiet = False

    def _put_out(self, key: str, tensor: Tensor) -> Tensor:
        self.recorder.subject[key] = tensor.detach().clone()
        setattr(tensor, STEP, key)
        return tensor

    def note(self, name: str, tensor: Tensor) -> Tensor:
        """What `hooks.watched` hands out: recorded under its name, which has the operation of what it is."""
        self._quiet = True
        try:
            key = self.key(tensor)
            if name not in self.operations and key != name:
                own = self.operations.get(key)
                known = own is not None and own.name in OPERATIONS
                self.operations[name] = (
                    replace(own, at=own.at or key) if known and own else Operation("same", {"x": key})
                )
            return self.recorder.note(name, tensor)
        finally:
            self._quiet = False

    def entered(self, module: nn.Module, path: str, called: str, taken: list[Tensor]) -> None:
        """See `Listener`."""
        self._quiet = True
        steps: Mapping[str, Operation] = {}
        if self._frames[-1].followed:
            steps = operations_of(module, path, called, [self.key(x) for x in taken], taken)
            self.operations |= {key: step for key, step in steps.items() if key not in self.operations}
        self._frames.append(Frame(path, self._frames[-1].followed and not steps, set()))
        self._quiet = False

    def left(self, module: nn.Module) -> None:
        """See `Listener`."""
        self._frames.pop()

    def key(self, tensor: Tensor) -> str:
        """The key of a tensor: of the call that computed it, of a parameter, its name, or that of a constant."""
        found = getattr(tensor, STEP, None) or name_of(tensor) or self._parameters.get(id(tensor))
        return found or self._constant(tensor, "given")

    def _constant(self, tensor: Tensor, name: str) -> str:
        key = self._new_key(name)
        self._constants.add(key)
        self.recorder.begin(key, tensor.detach().clone())
        setattr(tensor, STEP, key)
        return key

    def _new_key(self, name: str) -> str:
        key = f"{self._frames[-1].path}:{name}"
        self._calls[key] += 1
        return key if self._calls[key] == 1 else f"{key}#{self._calls[key]}"

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called by torch in the place of each of its functions."""
        kwargs = kwargs or {}
        if self._quiet or not self._frames[-1].followed:
            return func(*args, **kwargs)
        expansion = expansion_of(func)
        if expansion is not None:
            expanded = self._expanded(expansion, func, args, kwargs)
            if expanded is not None:
                return expanded
        call = Call(func, args, kwargs)
        found = [x for x in tensors_in(call.out) if x.numel()]
        if found:
            self._quiet = True
            self._follow(call, found)
            self._quiet = False
        return call.result

    def _expanded(self, expansion: Callable[..., Any], func: Any, args: Any, kwargs: Any) -> Any:
        """The result of a function by plain operations, each followed, if that is what the function gives."""
        truth = func(*args, **kwargs)
        try:
            with self:
                result = expansion(*args, **kwargs)
        except (TypeError, NotImplementedError):
            return None
        pairs = [*zip(tensors_in(truth), tensors_in(result), strict=False)]
        return result if pairs and all(equals(b, a) for a, b in pairs) else None

    def _follow(self, call: Call, found: list[Tensor]) -> None:
        keys = [self.key(x) for x in call.tensors]
        sizes = self._frames[-1].sizes
        sizes |= {n for x in (*call.tensors, *found) for n in x.shape if n > 1}
        if all(key in self._constants for key in keys):
            for x in found:
                self._constant(x, call.name)
            return
        whole = self._new_key(call.name)
        several = not isinstance(call.out, Tensor)
        for part, x in enumerate(found):
            key = f"{whole}.{part}" if several else whole
            step = self._step(call, part if several else None, x, sizes)
            roles = {role: self.key(t) for role, t in step.tensors.items()}
            for before, operation in steps_before(step.name, roles, self.operations, self._constants).items():
                roles[before] = operation
            extra = self._settings_of(step.name, roles)
            self.operations[key] = Operation(step.name, roles, {**step.settings, **extra})
            self.recorder.subject[key] = x.detach().clone()
            setattr(x, STEP, key)

    def _settings_of(self, name: str, roles: Mapping[str, str]) -> dict[str, Any]:
        if name == "root" and "bare" in roles:
            return {"eps": self.operations[roles["x"]].settings["term"]}
        return {}

    def _step(self, call: Call, part: int | None, result: Tensor, sizes: set[int]) -> Step:
        """What the call computes: as an operation that is known, else as a function that is called, else opaque."""
        constants = {id(x) for x in call.tensors if self.key(x) in self._constants}
        settings = {"call": call.again(part), "count": len(call.tensors), "words": getattr(call.func, "__name__", "")}
        others = [
            (words, canonical, call.again(part, func, kwargs))
            for words, canonical, func, kwargs in other_calls(call.func, call.args, call.kwargs)
        ]
        numbered = dict(zip(map(str, range(len(call.tensors))), call.tensors, strict=True))
        plain = Step("call", numbered, {**settings, "others": others})
        known = step_of(call.func, call.args, call.kwargs, part, call.again(part), constants, tuple(sorted(sizes)))
        for step in (known, plain):
            if step is not None and self._gives(step, result):
                return step
        return Step(UNKNOWN, plain.tensors, {})

    def _gives(self, step: Step, result: Tensor) -> bool:
        tensors = {r: x.to(torch.float64) if x.is_floating_point() else x for r, x in step.tensors.items()}
        try:
            value = OPERATIONS[step.name].compute(Operands(tensors, step.settings))
        except Exception:  # whatever a function of anyone's raises, it is not understood
            return False
        if value.is_floating_point() != result.is_floating_point():
            return False
        return value.shape == result.shape and equals(value, result.to(value.dtype))


class Call:
    """One call of a function, with the tensors it was given as they were before."""

    def __init__(self, func: Any, args: Any, kwargs: Any) -> None:
        self.func, self.name = func, name_of_function(func)
        self.in_place = changes_in_place(func) or kwargs.get("inplace") is True
        self.args, self.kwargs = (kept(args), kept(kwargs)) if self.in_place else (args, kwargs)
        self.tensors = [*tensors_in((self.args, self.kwargs))]
        self.result = func(*args, **kwargs)
        self.out = args[0] if self.in_place else self.result

    def again(
        self, part: int | None, func: Any = None, given: Mapping[str, Any] | None = None
    ) -> Callable[..., Tensor]:
        """The call as a function of its tensors, of which `part` is returned; or another function called as it is."""

        def call(*tensors: Tensor) -> Tensor:
            left = iter([x.contiguous() for x in tensors])
            args, kwargs = replaced(self.args, left), replaced(self.kwargs if given is None else given, left)
            if self.in_place:
                args = (args[0].clone(), *args[1:])
            try:
                out = (func or self.func)(*args, **kwargs)
            except TypeError as error:  # another function, which takes other arguments
                raise ValueError(str(error)) from error
            out = args[0] if self.in_place else out
            if part is None and not isinstance(out, Tensor):
                raise ValueError("it gives several results")
            result: Tensor = out if part is None else [x for x in tensors_in(out) if x.numel()][part]
            return result

        return call


def replaced(value: Any, tensors: Any) -> Any:
    """A nested value with the next of `tensors` for every tensor in it."""
    if isinstance(value, Tensor):
        return next(tensors)
    if isinstance(value, dict):
        return {key: replaced(entry, tensors) for key, entry in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(replaced(entry, tensors) for entry in value)
    return value


def kept(value: Any) -> Any:
    """A nested value with a copy of every tensor, under the same key."""
    copies = []
    for x in tensors_in(value):
        copy = x.detach().clone()
        for attribute in (STEP, "_parity_name"):
            if getattr(x, attribute, None) is not None:
                setattr(copy, STEP, getattr(x, attribute))
                break
        copies.append(copy)
    return replaced(value, iter(copies))


def changes_in_place(func: Any) -> bool:
    """Whether a function changes its first argument."""
    name = getattr(func, "__name__", "")
    return name == "__setitem__" or (name.endswith("_") and not name.endswith("__")) or name in INPLACE


INPLACE = {f"__i{name}__" for name in ("add", "sub", "mul", "truediv", "matmul", "pow", "and", "or")}


def name_of_function(func: Any) -> str:
    """A function's name in keys: "add" for `add_` and `__radd__`, "index" for `x[...]`, "T" for the attribute."""
    name = getattr(func, "__name__", type(func).__name__)
    if name == "__get__":
        return getattr(func.__self__, "__name__", "attribute")
    bare = name.strip("_")
    return {"getitem": "index", "setitem": "index", "rdiv": "div", "rsub": "sub", "radd": "add", "truediv": "div"}.get(
        bare, bare
    )


def _split(name: str) -> tuple[str, str]:
    path, _, own = name.rpartition(".")
    return path, own
