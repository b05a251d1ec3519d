"""What a user may write, read and checked; imports neither numpy nor torch."""
