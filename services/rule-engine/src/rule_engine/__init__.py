"""Rules, their state and the actions they take."""
