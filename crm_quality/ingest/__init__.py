"""From extract files to raw and staging tables. Does not belong here: cleaning of values."""
