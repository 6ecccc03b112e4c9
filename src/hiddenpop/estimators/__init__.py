"""Estimators of a hidden population: frozen settings with a pure `fit`, one file a family."""
