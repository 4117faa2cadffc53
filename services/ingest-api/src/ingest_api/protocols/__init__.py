"""Other vendors' tracking protocols on the native intake: one file a vendor, one row a route in `table.py`."""
