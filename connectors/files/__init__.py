"""Codecs: bytes of a file to rows and back. CSV and fixed length, as Japanese hosts write them.

Layouts are data (`layout.py`); the codecs know neither folders nor the network.
"""
