"""Posteriors: exact sums over graphs, Laplace evidence, densities with their gradients, and samplers."""
