"""Plugins that a service loads without a new dependency."""
