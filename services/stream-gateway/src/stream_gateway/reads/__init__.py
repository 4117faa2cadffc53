"""Questions to the read model, and the routes that ask them."""
