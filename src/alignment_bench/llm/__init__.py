"""Language models that speak as teachers and judges: on this machine, or behind an endpoint."""
