"""How long Hypothesis looks: `pytest --hypothesis-profile=thorough tests/dialects` looks longer."""

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.dialects.contract")  # its tests are inherited by test modules

settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.register_profile("brisk", deadline=None, max_examples=30)
if settings.get_current_profile_name() == "default":
    settings.load_profile("brisk")
