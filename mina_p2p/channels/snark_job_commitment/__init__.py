"""Channel 6: who is at work on which snark job."""
