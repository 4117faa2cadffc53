"""Rejected events: kept, listed, mended and replayed."""
