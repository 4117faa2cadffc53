"""A person is forgotten across the suite, and what was done is proved."""
