"""Write Keras' own Xception with random weights, and what it answers, for a parity check.

Runs in an environment of its own, since TensorFlow is no dependency of this project:

    python -m venv tf && tf/bin/pip install tensorflow-cpu==2.15.1
    tf/bin/python tests/reference/xception_keras.py FOLDER

Then ``XCEPTION_REFERENCE=FOLDER pytest tests/unit/model_export/test_xception_parity.py -s``
compares and prints the largest differences. Three files come out, for three heads and layouts:
``softmax.h5`` (whole model, 128 px), ``sigmoid.h5`` (whole model, 101 px, odd on purpose: the
padding of the poolings then falls otherwise) and ``weights_only.h5`` (of the first).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


def build(size: int, activation: str, rng: np.random.Generator) -> tf.keras.Model:
    """Keras' Xception with two units, every weight random and no batch norm trivial."""
    model = tf.keras.applications.Xception(
        weights=None, input_shape=(size, size, 3), classes=2, classifier_activation=activation
    )
    norms = [
        layer for layer in model.layers if isinstance(layer, tf.keras.layers.BatchNormalization)
    ]
    for norm in norms:
        _, _, mean, variance = norm.get_weights()
        gamma, beta = rng.uniform(0.6, 1.4, mean.shape), rng.normal(0, 0.2, mean.shape)
        norm.set_weights([gamma, beta, mean, variance])
        norm.momentum = 0.0
    # Statistics of real activations, so that what tells two images apart reaches the end: with
    # arbitrary ones it drowns in the constants, and a comparison would see only those.
    model(rng.integers(0, 256, (8, size, size, 3)).astype(np.float32) / 255, training=True)
    for norm in norms:
        gamma, beta, mean, variance = norm.get_weights()
        norm.set_weights([gamma, beta, mean, variance * rng.uniform(0.8, 1.2, mean.shape)])
        norm.momentum = 0.99
    return model


def main(folder: Path) -> None:
    """Write models and answers into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for size, activation in ((128, "softmax"), (101, "sigmoid")):
        rng = np.random.default_rng(size)
        tf.keras.utils.set_random_seed(size)
        model = build(size, activation, rng)
        frames = rng.integers(0, 256, (3, size, size, 3), dtype=np.uint8)
        frames[1] = np.linspace(0, 255, size, dtype=np.uint8)[:, None, None]
        last = model.layers[-3].output  # before the pooling and the head
        both = tf.keras.Model(model.input, [model.output, last])
        # A random network answers about the same to everything: spread the head's logits.
        head = model.layers[-1]
        pooled = both(frames / np.float32(255))[1].numpy().mean((1, 2))
        kernel, bias = head.get_weights()
        logits = pooled @ kernel
        kernel = kernel / logits.std(axis=0)
        head.set_weights([kernel, bias - (pooled @ kernel).mean(axis=0)])
        probability, features = both(frames / np.float32(255))
        model.save(folder / f"{activation}.h5")
        if activation == "softmax":
            model.save_weights(folder / "weights_only.h5")
            model.save_weights(folder / "layout.weights.h5")
        np.savez(
            folder / f"{activation}.npz",
            frames=frames,
            probability=probability.numpy(),
            features=features.numpy(),
        )
        spread = pooled.std(axis=0).mean() / pooled.mean()
        print(activation, size, probability.numpy().tolist(), f"spread of features {spread:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
