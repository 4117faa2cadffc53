"""From records of the log to rows: counting, rebuilding, retention, and the recount that checks it."""
