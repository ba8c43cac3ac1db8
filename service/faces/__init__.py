"""Face detectors, tracks and crops."""
