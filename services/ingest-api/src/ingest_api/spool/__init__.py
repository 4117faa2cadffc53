"""Events that survive here, on this machine's disk, while the log is away; docs/spool.md says what for and how far."""
