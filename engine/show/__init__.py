"""How answers look in a terminal: for the commands, and for the demonstration."""
