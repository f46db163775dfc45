"""Files that bring what a run found out back into the source systems."""
