"""A network whose input and outputs stay in the device's memory, in batches of few sizes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from service.session import Metadata, Session, Value

_HOST_ACCESSIBLE, _NVIDIA = 5, 0x10DE
_PAGE_LOCKED = state.OrtDevice(state.OrtDevice.cuda(), _HOST_ACCESSIBLE, _NVIDIA, 0)


class BoundSession:
    """ONNX Runtime's ``session``, which has one input, on ``device``; see
    ``service.session.Session``.

    The first axis of the input and of every output counts clips. Batches are filled up with zeros
    to the next of ``sizes``, so that a device meets few shapes; what is larger than ``most`` runs
    in parts. ``graphs``: each size and choice of outputs is recorded as one CUDA graph at its
    second run and played from then on.
    """

    def __init__(
        self, session: Any, device: Literal["cpu", "cuda"], most: int, *, graphs: bool = False
    ) -> None:
        self._session, self._device, self._graphs = session, device, graphs
        self._bound: dict[tuple[tuple[str, ...], int], _Bound] = {}
        powers = [1 << power for power in range(most.bit_length())]
        self.sizes = tuple(dict.fromkeys([*powers, most]))
        """Powers of two, and ``most``, ascending."""

    def run(
        self, output_names: list[str] | None, input_feed: dict[str, NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """The named outputs, None: all, as arrays of their own. Raises what ONNX Runtime does."""
        ((name, batch),) = input_feed.items()
        names = tuple(output_names or (each.name for each in self.get_outputs()))
        most = self.sizes[-1]
        parts = [
            self._run(name, names, batch[start : start + most])
            for start in range(0, max(1, len(batch)), most)
        ]
        return parts[0] if len(parts) == 1 else list(map(np.concatenate, zip(*parts, strict=True)))

    def get_inputs(self) -> Sequence[Value]:
        return self._plain.get_inputs()

    def get_outputs(self) -> Sequence[Value]:
        return self._plain.get_outputs()

    def get_modelmeta(self) -> Metadata:
        return self._plain.get_modelmeta()

    def get_providers(self) -> Sequence[str]:
        return self._plain.get_providers()

    @property
    def _plain(self) -> Session:
        plain: Session = self._session
        return plain

    def _run(self, name: str, names: tuple[str, ...], clips: NDArray[Any]) -> list[NDArray[Any]]:
        size = next(each for each in self.sizes if each >= len(clips))
        bound = self._bound.get((names, size))
        if bound is None:
            bound = self._bind(name, names, (size, *clips.shape[1:]), clips.dtype)
            # Kept once it has run: what fails for want of memory must not hold any.
            bound.fill(clips)
            self._settle(bound, names)
            self._bound[names, size] = bound
        else:
            bound.fill(clips)
            self._session.run_with_iobinding(bound.binding, bound.options)
        return [each[: len(clips)] for each in bound.binding.copy_outputs_to_cpu()]

    def _bind(
        self, name: str, names: tuple[str, ...], shape: tuple[int, ...], kind: np.dtype[Any]
    ) -> _Bound:
        binding = self._session.io_binding()
        value = ort.OrtValue.ortvalue_from_shape_and_type(shape, kind, self._device)
        binding.bind_ortvalue_input(name, value)
        for each in names:
            binding.bind_output(each, self._device)
        options = ort.RunOptions()
        if self._graphs:
            # 0 is ONNX Runtime's own, and one number is one graph, of one shape.
            options.add_run_config_entry("gpu_graph_id", str(len(self._bound) + 1))
        return _Bound(binding, value, options, _page_locked(self._session, shape, kind))

    def _settle(self, bound: _Bound, names: tuple[str, ...]) -> None:
        """The first run, which tells the shapes of outputs; their memory is theirs from then on, as
        a recorded graph writes to where it wrote."""
        unrecorded = ort.RunOptions()
        if self._graphs:
            unrecorded.add_run_config_entry("gpu_graph_id", "-1")
        self._session.run_with_iobinding(bound.binding, unrecorded)
        for name, value in zip(names, bound.binding.get_outputs(), strict=True):
            bound.binding.bind_ortvalue_output(name, value)


@dataclass(frozen=True, slots=True)
class _Bound:
    """One size of batch and choice of outputs: what is bound, and host memory to copy from."""

    binding: Any
    input: Any
    options: Any
    host: _Host | None

    def fill(self, clips: NDArray[Any]) -> None:
        """Copy ``clips`` to the device, and zeros behind them."""
        shape = tuple(self.input.shape())
        if self.host is None and len(clips) == shape[0]:
            self.input.update_inplace(clips)
            return
        staged = np.empty(shape, clips.dtype) if self.host is None else self.host.array
        staged[: len(clips)] = clips
        staged[len(clips) :] = 0
        self.input.update_inplace(staged)


@dataclass(frozen=True, slots=True)
class _Host:
    """Page-locked memory and what owns it."""

    array: NDArray[Any]
    owner: Any


def _page_locked(session: Any, shape: tuple[int, ...], kind: np.dtype[Any]) -> _Host | None:
    """Host memory that a GPU reads by itself; None where the session has none to give.

    Python is offered it for a session's device alone, so this goes one level below.
    """
    try:
        owner = session._sess.create_ortvalue_from_shape_and_type(shape, kind, _PAGE_LOCKED)
    except (AttributeError, RuntimeError):
        return None
    raw = (ctypes.c_uint8 * owner.tensor_size_in_bytes()).from_address(owner.data_ptr())
    return _Host(np.frombuffer(raw, kind).reshape(shape), owner)
