"""Projects, their keys and settings, and stream tokens."""
