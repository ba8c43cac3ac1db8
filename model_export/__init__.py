"""Training, import and export of deepfake detectors (PyTorch)."""
