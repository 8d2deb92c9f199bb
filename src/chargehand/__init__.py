"""Chargehand drives coding agents through an agreed plan and answers for the result."""

__version__ = "0.1.0"
