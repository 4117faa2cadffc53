"""The PostgreSQL log's tables and statements, schema `log`; applied by `lifecycle.migrations`."""
