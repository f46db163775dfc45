"""Golden records. Belongs here: survivorship and history, as SQL models, and the policy. Does not: who is who, marts."""
