"""Every variant of every operation names itself: where the subject computes it, the hint says so in its words."""

from collections import defaultdict

import pytest

from parity.diagnosis import explain
from parity.diagnosis.interpreter import attempt
from parity.diagnosis.matching import equals
from parity.diagnosis.operations import OPERATIONS
from parity.subject.scene import Operation, Scene
from tests.parity.operands import EXAMPLES

NAMED = "named"


def variants_of(definition, operands):
    yield from definition.variants(operands)
    yield from definition.compound_variants(operands)


def outcome(name, definition, operands, variant):
    """`NAMED`, or what is said in place of the variant's own words."""
    canonical, value = definition.compute(operands), attempt(variant.compute)
    if value is None:
        return "does not fit"
    if equals(value, canonical):
        return "computes what the canonical formula does"
    operation = Operation(name, operands.keys, operands.settings)
    given = {operands.keys[role]: tensor for role, tensor in operands.tensors.items()}
    reference = {**given, "y": canonical.float().double()}
    hints = explain(Scene({"y": operation}, reference, {**given, "y": value}, {}), "y")
    if not hints:
        return "gets no hint"
    said = hints[0].description
    own = f"the subject {variant.description}; the reference {variant.canonical_description}"
    return NAMED if said == own else f"is explained by: {said}"


def not_named(name, definition, examples):
    """The variants that name themselves in none of the examples, and what is said of each."""
    outcomes = defaultdict(list)
    for operands in examples:
        for variant in variants_of(definition, operands):
            said = outcomes[variant.description]
            if NAMED not in said:
                said.append(outcome(name, definition, operands, variant))
    return {description: said for description, said in outcomes.items() if NAMED not in said}


def test_every_operation_has_examples():
    assert EXAMPLES.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_variant_names_itself(name):
    assert not_named(name, OPERATIONS[name], EXAMPLES[name]) == {}
