"""The gateway: webhooks come in here; verified, stored, answered, and carried on by jobs."""
