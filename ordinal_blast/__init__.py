"""Ordinal losses compared fairly in JAX and Flax: from data to a report, as pure functions."""

__version__ = "0.1.0"
