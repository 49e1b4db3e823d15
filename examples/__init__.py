"""Examples: services that are built with buvar, each with its own tests."""
