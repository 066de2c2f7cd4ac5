"""Speed, measured beside a reference in the same run and told as a ratio. Never a test."""
