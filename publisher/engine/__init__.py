"""Who runs a due delivery. ``embedded`` runs it in this process."""
