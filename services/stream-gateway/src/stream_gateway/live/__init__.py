"""The live streams: what was projected goes to whoever watches."""
