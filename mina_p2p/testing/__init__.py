"""Tools for tests of this library and of software that uses it: networks of pure nodes, generators, invariants."""
