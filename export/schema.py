"""Whether a value is what a JSON schema says: the part of JSON Schema that the manifest's uses, without a library.

Whoever serves a model should not need a validator for it. Patterns are of the whole string. Tests hold this to the
verdicts of jsonschema.
"""

from __future__ import annotations

import json
import re
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def fault(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "") -> str | None:
    """What is wrong with `value`, which lies at `at`, in a few words; None if `schema`, a part of `root`, holds."""
    if ref := schema.get("$ref"):
        referred = root
        for name in ref.removeprefix("#/").split("/"):
            referred = referred[name]
        if found := fault(value, referred, root, at):
            return found
    here = at or "the whole"
    if "anyOf" in schema:
        faults = [fault(value, choice, root, at) for choice in schema["anyOf"]]
        return None if None in faults else faults[-1]  # the last is the one with something in it
    if "const" in schema and value != schema["const"]:
        return f"{here} is {_short(value)}; it must be {_short(schema['const'])}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{here} is {_short(value)}; it must be one of {', '.join(map(_short, schema['enum']))}"
    if (types := schema.get("type")) and not any(_is(value, name) for name in _listed(types)):
        return f"{here} is {_short(value)}; it must be {' or '.join(_listed(types))}"
    if isinstance(value, str) and "pattern" in schema and not re.fullmatch(schema["pattern"], value):
        return f"{here} is {_short(value)}, which does not have the form {schema['pattern']}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            return f"{here} is {_short(value)}; it must be at least {schema['minimum']}"
        if value > schema.get("maximum", value):
            return f"{here} is {_short(value)}; it must be at most {schema['maximum']}"
    if isinstance(value, list):
        return _fault_of_list(value, schema, root, at)
    return _fault_of_object(value, schema, root, at) if isinstance(value, dict) else None


def _fault_of_list(value: list[Any], schema: dict[str, Any], root: dict[str, Any], at: str) -> str | None:
    if len(value) < schema.get("minItems", 0):
        return f"{at} has {len(value)} entries; it must have at least {schema['minItems']}"
    found = (fault(item, schema.get("items", {}), root, f"{at}[{i}]") for i, item in enumerate(value))
    return next(filter(None, found), None)


def _fault_of_object(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], at: str) -> str | None:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    missing = [name for name in schema.get("required", ()) if name not in value]
    unknown = [name for name in value if name not in known] if others is False else []
    if missing or unknown:
        return f"{', '.join(sorted(missing + unknown))} missing or unknown" + (f" in {at}" if at else "")
    for name, item in value.items():
        if "propertyNames" in schema and (found := fault(name, schema["propertyNames"], root, f"a name in {at}")):
            return found
        if found := fault(item, known.get(name, others), root, f"{at}.{name}" if at else name):
            return found
    return None


def _is(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _listed(types: str | list[str]) -> list[str]:
    return [types] if isinstance(types, str) else types


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
