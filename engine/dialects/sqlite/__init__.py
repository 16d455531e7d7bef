"""SQLite: one writer at a time, so commit order is id order, and locks are needed nowhere."""
