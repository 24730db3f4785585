"""Every variant of every operation names itself: where the subject computes it, the hint says so in its words.

The variants come from the definitions, so that a new one is tested as soon as it is there. On at least one of its
operation's examples, a variant must differ from the canonical formula and from every variant that is tried before it.
"""

from collections import defaultdict
from functools import partial

import pytest
import torch

from parity.diagnosis import OperationDefinition, Variant, explain
from parity.diagnosis.interpreter import attempt
from parity.diagnosis.matching import equals
from parity.diagnosis.operations import OPERATIONS
from parity.subject.scene import Operation, Scene
from tests.parity.operands import EXAMPLES, example

pytestmark = pytest.mark.slow

EXPLAINED = 40
"""About how many variants of an operation go through a whole search, besides one compound one, whose search is long."""


def hint_of(name, operands, canonical, value):
    """What the first hint says where the reference computes `canonical` and the subject `value`."""
    given = {operands.keys[role]: tensor for role, tensor in operands.tensors.items()}
    operations = {"y": Operation(name, operands.keys, operands.settings)}
    reference = {**given, "y": canonical.float().double()}
    hints = explain(Scene(operations, reference, {**given, "y": value}, {}), "y")
    return hints[0].description if hints else "nothing"


class Computed:
    """What was computed so far, to find the first variant that gives the same, as a search would."""

    def __init__(self):
        self.by_shape = defaultdict(list)

    def add(self, words, value):
        self.by_shape[value.shape].append((words, value, value.to(torch.float64).nan_to_num().flatten()))

    def first_equal(self, value):
        others = self.by_shape[value.shape]
        if not others:
            return None
        near = torch.stack([flat for *_, flat in others]) - value.to(torch.float64).nan_to_num().flatten()
        close = (near.abs() <= 1e-6 * value.nan_to_num().abs().amax()).all(1) if value.numel() else [True] * len(others)
        return next((words for (words, v, _), c in zip(others, close, strict=True) if c and equals(v, value)), None)


def not_named(name, definition, examples):
    """The variants that name themselves on none of the examples, and what is said of each."""
    problems, named = defaultdict(set), set()
    for operands in examples:
        canonical, computed = definition.compute(operands), Computed()
        computed.add("the canonical formula", canonical)
        known = list(definition.variants(operands))
        variants = [*known, *definition.compound_variants(operands)]
        last = max((i for i, variant in enumerate(variants) if variant.description not in named), default=-1)
        for i, variant in enumerate(variants[: last + 1]):
            words, value = variant.description, attempt(variant.compute)
            if value is None:
                problems[words].add("does not fit")
                continue
            same = None if words in named else computed.first_equal(value)
            if same is not None:
                problems[words].add(f"computes the same as {same}")
            elif words not in named:
                own = f"the subject {words}; the reference {variant.canonical_description}"
                searched = i == len(known) or (i < len(known) and i % (1 + len(known) // EXPLAINED) == 0)
                said = hint_of(name, operands, canonical, value) if searched else own
                if said == own:
                    named.add(words)
                else:
                    problems[words].add(f"is explained by: {said}")
            computed.add(words, value)
    return {words: said for words, said in problems.items() if words not in named}


def test_every_operation_has_examples():
    assert EXAMPLES.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_variant_names_itself(name):
    assert not_named(name, OPERATIONS[name], EXAMPLES[name]) == {}


X = torch.linspace(-1, 2, 12, dtype=torch.float64)
DEFECTS = [
    (lambda o: o["x"] + 0, "computes the same as the canonical formula"),
    (lambda o: 3 * o["x"], "computes the same as triples it"),
    (lambda o: o["x"] @ torch.ones(5), "does not fit"),
    (lambda o: torch.zeros_like(o["x"]), "is explained by"),
]


@pytest.mark.parametrize(("broken", "problem"), DEFECTS)
def test_a_variant_that_does_not_name_itself_is_found(monkeypatch, broken, problem):
    def variants(o):
        yield Variant("triples it", "leaves it", lambda: 3 * o["x"])
        yield Variant("does something else", "leaves it", partial(broken, o))

    definition = OperationDefinition(lambda o: o["x"], variants)
    monkeypatch.setitem(OPERATIONS, "kept", definition)
    problems = not_named("kept", definition, [example({"x": X})])
    assert list(problems) == ["does something else"]
    assert problem in problems["does something else"].pop()
