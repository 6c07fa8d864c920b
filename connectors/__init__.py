"""Connectors: one folder per kind of system, on the contract of `contract.py`. See docs/connectors.md."""
