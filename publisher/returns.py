"""Acts on what came back: suppresses, unsubscribes, reports. Reads the mailbox of bounces."""
