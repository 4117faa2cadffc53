"""Admission over HTTP: authenticate, validate, normalise, append."""
