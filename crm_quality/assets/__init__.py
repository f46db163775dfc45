"""The Dagster assets: thin wrappers of the steps. Does not belong here: logic that a test could call without Dagster."""
