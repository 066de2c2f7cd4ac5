"""What adapters are tested with: a loopback server that can fail in every way a network can."""
