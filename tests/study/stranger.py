"""Run by tests in a process of its own, which cannot import this package: an exported grader on arrays of an npz file.

Arguments: FILE.jax or FILE.onnx, the inputs, where the outputs go.
"""

import sys

import numpy as np

file, given, out = sys.argv[1:]
sys.modules["ordinal_blast"] = None  # importing it raises
arrays = dict(np.load(given))
if file.endswith(".jax"):
    from jax import export

    with open(file, "rb") as stream:
        program = export.deserialize(bytearray(stream.read()))
    said = program.call(*arrays.values())
else:
    import onnxruntime

    sys.modules["jax"] = None
    session = onnxruntime.InferenceSession(file)
    names = [output.name for output in session.get_outputs()]
    said = dict(zip(names, session.run(names, arrays), strict=True))
np.savez(out, **{name.replace("/", "|"): np.asarray(value) for name, value in said.items()})
