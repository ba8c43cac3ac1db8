"""How good the service's verdicts are on a labelled list of videos."""
