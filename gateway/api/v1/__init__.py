"""The gRPC interface `lookalike.v1`: the proto file, and what protoc makes of it.

`make proto` writes `lookalike_pb2.py`, `lookalike_pb2.pyi` and `lookalike_pb2_grpc.py` again.
"""
