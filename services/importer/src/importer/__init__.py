"""Reads the same kind of data out of logs, files and other tools."""
