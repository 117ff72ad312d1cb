"""Channels of a ready connection: what travels by permission."""
