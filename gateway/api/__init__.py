"""The edges: HTTP, gRPC, and the one table from errors to status codes."""
