"""Checks on every table, their failing rows, scores and verdicts. Does not belong here: repairing data."""
