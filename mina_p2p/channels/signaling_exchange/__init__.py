"""Channel 2: being handed offers by a relay."""
