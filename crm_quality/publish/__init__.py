"""Make the finished warehouse the file that readers open. Does not belong here: computing anything."""
