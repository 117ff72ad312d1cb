"""Counting what a node does."""
