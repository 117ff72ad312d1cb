"""Mina's types, hashes and chain selection."""
