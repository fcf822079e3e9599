"""The forecast of an experiment: calls and cost before any call is made."""
