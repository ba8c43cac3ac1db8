"""Write the layer lists of Keras models, for the check of ``Detector.layer_order``.

Runs in an environment of its own, since TensorFlow is no dependency of this project:

    python -m venv tf && tf/bin/pip install tensorflow-cpu==2.15.1
    tf/bin/python tests/reference/layer_order_keras.py tests/golden/layer_order.json FOLDER...

Each FOLDER holds the ``layers.json`` of a CLRNet of the authors' code; Xception is Keras'
own; MesoNet and ShallowNetV3 are written down here as their publications describe them. Every
layer is a class name and the shapes of its weights.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import tensorflow as tf

layers = tf.keras.layers


def inception(x: tf.Tensor, widths: tuple[int, int, int, int]) -> tf.Tensor:
    """A branch of 1x1, three of 1x1 and dilated 3x3."""
    branches = [layers.Conv2D(widths[0], 1, padding="same", activation="relu")(x)]
    for dilation, width in enumerate(widths[1:], start=1):
        y = layers.Conv2D(width, 1, padding="same", activation="relu")(x)
        y = layers.Conv2D(width, 3, padding="same", dilation_rate=dilation, activation="relu")(y)
        branches.append(y)
    return layers.Concatenate()(branches)


def mesonet(with_inception: bool) -> tf.keras.Model:
    """Afchar et al. 2018, at 32 pixels."""
    x = inputs = layers.Input((32, 32, 3))
    plain = ((8, 3), (8, 5), (16, 5), (16, 5))
    for place, pool in enumerate((2, 2, 2, 4)):
        if with_inception and place < 2:
            x = inception(x, ((1, 4, 4, 2), (2, 4, 4, 2))[place])
        else:
            filters, kernel = plain[place]
            x = layers.Conv2D(filters, kernel, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(pool, padding="same")(x)
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = layers.LeakyReLU(0.1)(layers.Dense(16)(x))
    return tf.keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.Dropout(0.5)(x)))


def shallownet() -> tf.keras.Model:
    """Table 4 of the 2020 CLRNet paper, at 24 pixels."""
    x = inputs = layers.Input((24, 24, 3))
    plan = ((32, 5), (32, 1), (32, 1), (64, 3), (64, 1), (64, 1), (128, 3), (32, 1))
    for place, (filters, kernel) in enumerate(plan):
        x = layers.Conv2D(filters, kernel, activation="relu")(x)
        if place in (2, 5):
            x = layers.MaxPooling2D(2)(x)
        x = layers.Dropout(0.25)(x)
    x = layers.BatchNormalization()(layers.Dense(1024, activation="relu")(layers.Flatten()(x)))
    x = layers.Dense(2, activation="sigmoid")(layers.Dropout(0.25)(x))
    return tf.keras.Model(inputs, x)


def listed(model: tf.keras.Model) -> list[list[object]]:
    """Class name and weight shapes of each layer."""
    return [
        [type(layer).__name__, [list(weight.shape) for weight in layer.get_weights()]]
        for layer in model.layers
    ]


def main(target: Path, folders: list[Path]) -> None:
    """Write ``target``."""
    lists = {
        "meso4": listed(mesonet(with_inception=False)),
        "mesoinception4": listed(mesonet(with_inception=True)),
        "shallownetv3": listed(shallownet()),
        "xception": listed(
            tf.keras.applications.Xception(weights=None, input_shape=(96, 96, 3), classes=2)
        ),
    }
    for folder in folders:
        given = json.loads((folder / "layers.json").read_text())
        lists[folder.name] = [[layer["cls"], layer["weights"]] for layer in given]
    lines = [f" {json.dumps(name)}: {json.dumps(order)}" for name, order in sorted(lists.items())]
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
