"""Channel 5: announcements of snark works."""
