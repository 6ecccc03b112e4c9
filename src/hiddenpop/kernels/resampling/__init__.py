"""Resampled counts, limits of bootstrap intervals, and the modes of what comes out."""
