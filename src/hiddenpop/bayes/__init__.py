"""Bayesian estimators; imported only when used."""
