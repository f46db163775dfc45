"""Who is who: from party records to customers with lasting ids. Does not belong here: what a customer looks like."""
