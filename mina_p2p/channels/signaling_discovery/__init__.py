"""Channel 1: asking a relay for peers."""
