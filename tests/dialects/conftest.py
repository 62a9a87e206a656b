"""How long Hypothesis looks: `pytest --hypothesis-profile=thorough tests/dialects` looks longer."""

from hypothesis import settings

settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.register_profile("brisk", deadline=None, max_examples=30)
if settings.get_current_profile_name() == "default":
    settings.load_profile("brisk")
