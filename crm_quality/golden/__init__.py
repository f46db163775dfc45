"""Golden records. Belongs here: survivorship and history, as SQL models. Does not: who is who, marts."""
