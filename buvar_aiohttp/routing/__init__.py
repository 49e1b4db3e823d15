"""Routing: which route a request gets, whether each can get one, and how all of them are listed."""

from .router import Router as Router
