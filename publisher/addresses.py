"""Mail addresses as people write them, and as they are compared."""
