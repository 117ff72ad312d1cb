"""Connections: attempts of both directions, the hello, and what becomes of them."""
