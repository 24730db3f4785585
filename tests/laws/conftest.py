"""How many cases, by Hypothesis profile: `SHARNN_LAWS=nightly pytest tests/laws`; rings and exports made for laws."""

import os

import pytest
from hypothesis import HealthCheck, settings

from export.serving import ring, seats
from tests.laws.targets import SHORT_PATIENCE, SMALL_RINGS

# Making a back end takes long the first time, and a law may draw much.
calm = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
common = dict(deadline=None, suppress_health_check=calm, print_blob=True)
settings.register_profile("ci", max_examples=10, derandomize=True, database=None, **common)
settings.register_profile("dev", max_examples=200, **common)
settings.register_profile("nightly", max_examples=10_000, **common)
settings.load_profile(os.environ.get("SHARNN_LAWS", "ci"))


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in a hook of the same name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of one law in one worker: the same cases are drawn for each target, and each case is an export."""
    for item in items:
        if item.path.name == "test_laws.py" and isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            item.add_marker(pytest.mark.xdist_group(f"law {item.callspec.params['law']}"))


@pytest.fixture(scope="package", autouse=True)
def exports_without_what_no_law_reads():
    """No golden vector, which takes half of an export's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.exporter.golden", lambda *_: "{}")
        yield


@pytest.fixture(scope="package", autouse=True)
def small_rings():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ring, "BUCKETS", SMALL_RINGS)
        patch.setattr(seats, "PATIENCE", SHORT_PATIENCE)
        yield
