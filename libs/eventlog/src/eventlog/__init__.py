"""The log port, its Kafka, PostgreSQL and memory adapters, and the consumer runtime."""
