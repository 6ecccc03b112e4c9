"""Independent routes to the numbers of the package, for its tests: exact arithmetic, and the plainest dense fits."""
