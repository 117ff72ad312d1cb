"""Coverage-guided fuzzing of every decoder and of the whole state machine."""
