"""Channel 4: announcements of transactions."""
