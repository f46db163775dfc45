"""How properties are tried here. Does not belong here: fixtures of single modules."""

from hypothesis import settings

# The first call of a standardiser loads its word lists: a time limit would fail on a busy machine.
settings.register_profile("standardise", deadline=None)
settings.load_profile("standardise")
