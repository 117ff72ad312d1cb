"""Channel 8: answers too large for one message."""
