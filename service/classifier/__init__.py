"""The ONNX contract, session policy and scoring of clips."""
