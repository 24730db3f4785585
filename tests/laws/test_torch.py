"""The laws of PyTorch alone hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.laws.torch_laws import TORCH_LAWS


@pytest.mark.parametrize("law", TORCH_LAWS.values(), ids=TORCH_LAWS)
def test_law(law):
    @given(st.data())
    def holds(data):
        law(data.draw)

    holds()
