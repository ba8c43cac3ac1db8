"""The networks that can be trained, by name, and how one is built from a run's settings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError

from model_export.clrnet import CLRNet
from model_export.cnn_lstm import CNNLSTM
from model_export.dbirnn import DBiRNN
from model_export.detector import Detector
from model_export.errors import TrainingError
from model_export.forensic_transfer import ForensicTransfer
from model_export.mesonet import Meso4, MesoInception4
from model_export.shallownet import ShallowNetV3
from model_export.xception import Xception
from model_export.xception_ffpp import XceptionFFPP

Size = tuple[int, int]
"""Rows and columns of a frame."""

_SIZE = "size"
"""The constructor's argument for the frames' size, in networks that depend on it."""

_PASSED: set[str] = set()
"""What was tried and passed: seconds for a deep network, and suites build the same ones often."""


@dataclass(frozen=True)
class Network:
    """A detector's class, with what its constructor takes."""

    detector: type[Detector]

    def options(self) -> dict[str, Any]:
        """The constructor's arguments but the size: name to default."""
        parameters = inspect.signature(self.detector).parameters.values()
        return {each.name: each.default for each in parameters if each.name != _SIZE}

    def build(self, size: Size, options: Mapping[str, Any], length: int | None = None) -> Detector:
        """A network with random weights, or those that an option names, in training mode.

        Raises ``TrainingError`` as ``check`` does.
        """
        try:
            return self.detector(**self.check(size, options, length))
        except ValueError as error:
            raise TrainingError(f"{self._name}: {error}") from error

    def check(
        self, size: Size, options: Mapping[str, Any], length: int | None = None
    ) -> dict[str, Any]:
        """The constructor's arguments.

        Raises ``TrainingError`` for an option that is not there or of the wrong kind, and where
        clips of ``length`` frames (None: the published number) of ``size`` do not pass through the
        network.
        """
        known = self.options()
        for name in options:
            if name not in known:
                raise TrainingError(
                    f"{self._name} has no option '{name}'; it has {', '.join(known) or 'none'}"
                )
        arguments = {name: self._checked(name, value) for name, value in options.items()}
        if _SIZE in inspect.signature(self.detector).parameters:
            arguments[_SIZE] = size
        try:
            self._pass_through(size, arguments, length)
        except ValueError as error:
            raise TrainingError(f"{self._name}: {error}") from error
        return arguments

    @property
    def _name(self) -> str:
        return self.detector.architecture

    def _checked(self, name: str, value: object) -> Any:
        kind = get_type_hints(self.detector.__init__, include_extras=True)[name]
        try:
            # Strict: "yes" is no truth value and 2.5 no number of blocks.
            return TypeAdapter(kind, config=ConfigDict(strict=True)).validate_python(value)
        except ValidationError as error:
            message = error.errors()[0]["msg"]
            raise TrainingError(
                f"{self._name}: the option {name} = {value!r}: {message}"
            ) from error

    def _pass_through(self, size: Size, arguments: Mapping[str, Any], length: int | None) -> None:
        """Try the shapes alone, without memory or arithmetic; once for each in a process."""
        without = {name: value for name, value in arguments.items() if name != "weights"}
        length = self.detector.clip_length if length is None else length
        tried = repr((self._name, size, length, sorted(without.items())))
        if tried in _PASSED:
            return
        height, width = size
        with torch.device("meta"):
            model = self.detector(**without).eval()
            try:
                model.loss(torch.empty(1, length, 3, height, width), torch.empty(1))
            except RuntimeError as error:
                raise TrainingError(
                    f"frames of {height}x{width} do not pass through {self._name} (its published "
                    f"size is {model.published_size})"
                ) from error
        _PASSED.add(tried)


NETWORKS: Mapping[str, Network] = {
    detector.architecture: Network(detector)
    for detector in (
        CLRNet,
        ShallowNetV3,
        MesoInception4,
        Meso4,
        Xception,
        XceptionFFPP,
        DBiRNN,
        CNNLSTM,
        ForensicTransfer,
    )
}

NAMES: tuple[str, ...] = tuple(NETWORKS)


def build(
    architecture: str, size: Size, options: Mapping[str, Any], length: int | None = None
) -> Detector:
    """A network of ``NAMES`` for clips of ``length`` frames (None: the published number) of
    ``size`` (rows, columns), in training mode.

    ``options`` are its constructor's arguments. Raises ``TrainingError`` as ``check`` does.
    """
    return _named(architecture).build(size, options, length)


def check(
    architecture: str, size: Size, options: Mapping[str, Any], length: int | None = None
) -> None:
    """See whether ``build`` would give a network, without the time and memory that takes.

    Raises ``TrainingError`` for a name or an option that is not known, naming those that are, for a
    value of the wrong kind, and for clips that do not pass through the network. Files of weights
    are not looked at.
    """
    _named(architecture).check(size, options, length)


def _named(architecture: str) -> Network:
    if architecture not in NETWORKS:
        raise TrainingError(f"there is no network '{architecture}'; there are {', '.join(NAMES)}")
    return NETWORKS[architecture]
