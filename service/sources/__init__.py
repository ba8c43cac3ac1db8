"""Media from outside into bounded memory."""
