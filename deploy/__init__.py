"""What runs the service on more than one machine."""
