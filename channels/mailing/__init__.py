"""The newsletter to an office's own subscribers: one letter each, composed and signed here, sent over SMTP."""
