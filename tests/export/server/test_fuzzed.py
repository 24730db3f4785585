"""Requests made up from the server's own description: none ends with 500, hangs, or is answered otherwise than said."""

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

EXAMPLES = 15
"""Of each operation and kind."""


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_any_request_is_answered_as_described(serving, tmp_path, mode):
    with serving(state=tmp_path, max_tokens=20, max_prompt_bytes=1000, max_seconds=20, max_sequences=10**6) as server:
        schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        operations = [result.ok() for result in schema.get_all_operations()]
        assert len(operations) > 15
        for operation in operations:
            if mode is GenerationMode.NEGATIVE and "application/json" not in [
                body.media_type for body in operation.body
            ]:
                continue  # any text may be in a path, and any bytes in a snapshot

            @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
            @hypothesis.settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
            def check(case):
                # Which text is one of the vocabulary's no description can say.
                case.call_and_validate(timeout=30, excluded_checks=[positive_data_acceptance])

            check()
        assert server.client.get("/health").status_code == 200
        assert server.status()["active"] == server.status()["waiting"] == 0
