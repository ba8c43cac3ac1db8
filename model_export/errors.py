"""What can go wrong for the person at the command line."""

from __future__ import annotations


class ModelExportError(Exception):
    """Base of the errors whose message is for people, not a bug's trace."""


class KerasImportError(ModelExportError):
    """A Keras file cannot be taken over; the message says why."""


class ExportError(ModelExportError):
    """A model cannot be written as ONNX, or does not compute the same there."""


class DataError(ModelExportError):
    """A dataset is not what it should be; the message names the file."""


class TrainingError(ModelExportError):
    """A run cannot start or go on; the message says why and what was kept."""


class EvaluationError(ModelExportError):
    """Something cannot be measured; the message says why."""
