"""The activity read model, live fan-out and the pages."""
