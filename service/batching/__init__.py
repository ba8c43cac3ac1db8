"""Clips of many requests on one device: fair, bounded, in batches."""
