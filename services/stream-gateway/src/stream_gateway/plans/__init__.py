"""Tracking plans: shown, applied, tried on recent traffic, learned from it."""
