"""How good scores are: figures with intervals, at clip, face and video level."""
