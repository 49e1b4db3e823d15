"""Forking: bound sockets, workers and the supervisor that keeps them alive. The public words are in `buvar.fork`."""
