"""Channel 3: blocks that peers hold to be the best."""
