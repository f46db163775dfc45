"""Business answers per customer. Belongs here: value and risk of customers. Does not: who a customer is."""
