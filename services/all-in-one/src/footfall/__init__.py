"""The footfall command: the four services on an embedded database."""
