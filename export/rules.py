"""The rules of the manifest, as numbers: how a host makes masks and slots, and turns a memory into a ring and back."""

from typing import Any

from sharnn_py.config import Config
from sharnn_py.memory import most_keys_of_a_step


def rules(config: Config) -> dict[str, Any]:
    """The manifest's `rules`; what each number means is said in `export/manifest_schema.json`.

    How many memory rows are dropped is `sharnn_py.memory.rows_dropped`, where every block that attends holds M rows, as
    cases of a number times M, a number times T and a number.
    """
    if not config.attention_layers:
        return {}
    N = config.max_memory
    if config.semantics.memory_cut == "paper":
        dropped = [_case(N, rows=1, plus=-N), _case(None, rows=0, plus=-N)]
    else:  # a block without attention counts as one row
        dropped = [_case(None, rows=1, plus=-N) if config.attends(0) else _case(None, rows=0, plus=1 - N)]
    scaled = {"attention_scale": {"power": -0.5}} if config.semantics.attention_scale == "julia" else {}
    return {
        "mask": {"dropped": dropped},
        **scaled,
        "memory": {"most_rows": N},
        "ring": {
            "most_keys": most_keys_of_a_step(config),
            "heads": config.heads,
            "width": config.emb // config.heads,
        },
    }


def _case(steps_below: int | None, *, rows: int, plus: int) -> dict[str, int | None]:
    return {"steps_below": steps_below, "rows": rows, "steps": 1, "plus": plus}
