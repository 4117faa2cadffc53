"""Schema `runtime`: who owns which part, how far it has come, and which ids it has counted."""
