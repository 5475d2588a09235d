"""Messages and gRPC stubs, generated from `idl/` by `scripts/generate`. Do not edit.

`from typedflow.pb import literals_pb2`. Only the `*_pb2_grpc` modules import grpc.
"""
