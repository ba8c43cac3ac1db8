"""Pictures of what a model looks at and of what it is given."""
