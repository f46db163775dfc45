"""What an extract looks like: one YAML file per system. Does not belong here: reading files."""
