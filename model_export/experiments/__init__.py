"""The papers' experiments: strategies, the restricted grid search, whole suites."""
