"""One trainer: a run is a configuration file and the folder it fills."""
