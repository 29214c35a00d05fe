"""A small Qdrant server for tests: the wire is real, the engine is `qdrant_client`'s local mode.

The requests are Qdrant's own protobuf over a real gRPC connection, read and answered with the
client library's own converters. What local mode does not do, this does not pretend to do:
calls that are not written here answer UNIMPLEMENTED; there is no approximate index, so search is
exact and a collection is always green; replicas and shards are accepted and ignored; the types of
payload indexes are remembered and reported, and used for nothing.
"""
