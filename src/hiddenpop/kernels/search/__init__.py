"""Searches of spaces of models: exact, stochastic and stepwise, and the best model of every resample."""
