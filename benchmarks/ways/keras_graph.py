"""The authors' graph, built with Keras and run by TensorFlow, in an environment of its own.

As they released it: 'CLRNet50', pre-activation bottlenecks, ConvLSTM2D with Keras 2's hard
sigmoid. Dropout is left out, which does nothing here. No PyTorch and nothing of this project is
imported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from benchmarks.worker import NotRun, Task, Way

EXPANSION = 4


def load(task: Task) -> Way:
    """The graph with the weights of ``keras.npz``, as a TensorFlow function."""
    if task.device != "cpu":
        raise NotRun("tensorflow-cpu is what is installed")
    tf.config.threading.set_intra_op_parallelism_threads(task.threads)
    tf.config.threading.set_inter_op_parallelism_threads(task.threads)
    folder = Path(task.path)
    network = json.loads((folder / "network.json").read_text())
    model = build(network["filters"], network["repetitions"], task.frames, task.side)
    with np.load(folder / "keras.npz") as arrays:
        for layer in model.layers:
            if count := len(layer.weights):
                layer.set_weights([arrays[f"{layer.name}/{number}"] for number in range(count)])
    divisor, shift = network["divisor"], network["shift"]

    @tf.function(
        input_signature=[tf.TensorSpec((None, task.frames, task.side, task.side, 3), tf.uint8)]
    )
    def fake(clips: Any) -> Any:
        return model(tf.cast(clips, tf.float32) / divisor + shift, training=False)[:, 0]

    def score(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(fake(tf.constant(clips)).numpy(), np.float32)

    return Way(f"TensorFlow {tf.__version__}, Keras {keras.__version__}, CPU", score)


def hard_sigmoid(x: Any) -> Any:
    """Keras 2's; Keras 3's own has slope 1/6."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def build(filters: int, repetitions: list[int], frames: int, side: int) -> keras.Model:
    """Clips (N, T, H, W, 3) in [0, 1] to probabilities (N, 2) [fake, real]; its layers with weights
    have the names of this project's modules."""
    clips = layers.Input((frames, side, side, 3))
    x = conv_lstm(clips, "stem", filters, 7, 2)
    x = layers.ReLU()(norm(x, "stem_norm"))
    x = layers.MaxPooling3D((1, 3, 3), padding="same")(x)
    number = 0
    for stage, count in enumerate(repetitions):
        for index in range(count):
            x = block(x, f"blocks.{number}", filters << stage, opens=index == 0, first=number == 0)
            number += 1
    x = layers.GlobalAveragePooling3D()(norm(x, "norm"))
    return keras.Model(clips, layers.Dense(2, activation="softmax", name="head")(x))


def block(x: Any, name: str, filters: int, *, opens: bool, first: bool) -> Any:
    """A bottleneck; one that opens a stage has stride 2 and a projection."""
    stride = 2 if opens else 1
    y = x if first else layers.ReLU()(norm(x, f"{name}.norm1"))
    y = conv_lstm(y, f"{name}.conv1", filters, 3 if first else 1, stride)
    y = layers.ReLU()(norm(y, f"{name}.norm2"))
    y = conv_lstm(y, f"{name}.conv2", filters, 3)
    y = layers.ReLU()(norm(y, f"{name}.norm3"))
    y = conv_lstm(y, f"{name}.conv3", EXPANSION * filters, 1)
    if opens:
        x = conv_lstm(x, f"{name}.projection", EXPANSION * filters, 1, stride, "valid")
        x = norm(x, f"{name}.projection_norm")
    return layers.Add()([x, y])


def conv_lstm(
    x: Any, name: str, filters: int, kernel: int, stride: int = 1, padding: str = "same"
) -> Any:
    """A convolutional LSTM that returns every hidden state."""
    return layers.ConvLSTM2D(
        filters,
        kernel,
        strides=stride,
        padding=padding,
        recurrent_activation=hard_sigmoid,
        return_sequences=True,
        # They are set afterwards, and orthogonal ones of this size take minutes.
        kernel_initializer="zeros",
        recurrent_initializer="zeros",
        name=name,
    )(x)


def norm(x: Any, name: str) -> Any:
    """Batch normalisation with Keras' constants."""
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name)(x)
