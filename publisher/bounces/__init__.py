"""What mail servers and readers send back: bounces, complaints, and wishes to unsubscribe."""
