"""The demo: an invented product's customers, at work for thirty days and on."""
