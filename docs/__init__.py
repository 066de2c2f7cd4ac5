"""Documentation, and what writes the parts of it that are made from the code."""
