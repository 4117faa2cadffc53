"""Reads ordinary events, compiled. `ordinary.reader` is there where a C compiler was when it was installed."""
