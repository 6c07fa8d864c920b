"""Mappings of the shipped file layouts (`connectors/file_exchange/layouts`)."""
