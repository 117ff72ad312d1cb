"""Ending connections."""
