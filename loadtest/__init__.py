"""Load tests: a seeded workload, locust users for HTTP and gRPC, and verdicts by SLO."""
