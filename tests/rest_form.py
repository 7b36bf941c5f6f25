# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""TensorFlow Serving's REST form over a SavedModel, in a program that has no vaeseq.

Of its predict call it keeps the rules for `{"signature_name": ..., "inputs": {...}}`: every input
is given, by name; JSON numbers become the signature's dtype or are refused; several outputs come
back by name and a single one by itself. As a program it answers one request a line:

    python tests/rest_form.py MODEL < requests
"""

import json
import sys

import numpy as np

# JSON numbers that a dtype may be given as, by NumPy's kinds.
KINDS = {"i": "i", "f": "if", "b": "b"}


def answer(model, request):
    """The answer to one request; both are JSON. What is wrong is told under "error"."""
    import tensorflow as tf

    body = json.loads(request)
    signature = model.signatures[body["signature_name"]]
    inputs, specs = body["inputs"], signature.structured_input_signature[1]
    try:
        if not isinstance(inputs, dict):
            (name,) = specs
            inputs = {name: inputs}
        outputs = signature(**{
            name: tf.constant(array(inputs[name], spec.dtype.as_numpy_dtype))
            for name, spec in specs.items()})
    except KeyError as error:
        return json.dumps({"error": f"Missing named input: {error}"})
    except (ValueError, TypeError, tf.errors.OpError) as error:
        return json.dumps({"error": str(error)})
    values = {name: tensor.numpy().tolist() for name, tensor in outputs.items()}
    return json.dumps({"outputs": values if len(values) > 1 else next(iter(values.values()))})


def array(value, dtype):
    """A JSON value as an array; raises ValueError where it is ragged or of another kind."""
    as_given = np.array(value)
    if as_given.size and as_given.dtype.kind not in KINDS[np.dtype(dtype).kind]:
        raise ValueError(f"JSON value {value!r} is not of the expected type {np.dtype(dtype)}")
    return as_given.astype(dtype)


def main():
    for name in ("vaeseq", "examples", "sonnet", "tensorflow_probability", "tf_keras"):
        sys.modules[name] = None  # as if they were not installed
    import tensorflow as tf

    model = tf.saved_model.load(sys.argv[1])
    for line in sys.stdin:
        print(answer(model, line), flush=True)


if __name__ == "__main__":
    main()
