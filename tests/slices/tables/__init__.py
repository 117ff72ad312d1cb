"""What every slice does in every state."""
