"""Channel 10: blocks by header, outline and missing items (design 7; docs/explanation/block-propagation.md)."""
