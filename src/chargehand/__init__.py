"""Chargehand drives coding agents through an agreed plan and answers for the result."""

__version__ = "0.2.0"
