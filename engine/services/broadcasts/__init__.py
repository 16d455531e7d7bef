"""Broadcasts: whom staff choose, what they write to them, and what becomes of it."""
