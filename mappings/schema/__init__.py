"""The published JSON Schema of mapping files."""
