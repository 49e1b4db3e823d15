"""Staging: how plugins are prepared, run and torn down in one process. The public words are in `buvar.plugin`."""
