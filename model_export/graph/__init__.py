"""How a traced network becomes an ONNX graph that runs fast."""
