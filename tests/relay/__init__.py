"""Where push and pull meet."""
