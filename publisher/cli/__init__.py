"""The command line: one of the two doors. It holds no rules; it calls the desk and prints."""
