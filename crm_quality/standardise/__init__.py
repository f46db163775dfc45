"""Turn texts as they came into their standard form.

Belongs here: pure value -> value functions, and the lookups built from them. Does not: which value wins.
"""
