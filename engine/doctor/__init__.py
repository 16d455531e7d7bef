"""The doctor: where on the way from a committed row to a phone it is broken, and who mends it."""
