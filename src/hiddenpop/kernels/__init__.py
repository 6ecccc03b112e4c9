"""The numbers: pure functions from arrays to frozen records, compiled where a loop needs it."""
