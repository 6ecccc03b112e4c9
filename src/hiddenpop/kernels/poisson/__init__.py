"""Poisson fits: on the lattice of subsets, on explicit designs, with faces, status and profile limits."""
