"""The right to be forgotten: one person out of everything the project owns."""
