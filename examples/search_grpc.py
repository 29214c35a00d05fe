"""Searches a running gateway over gRPC: `python search_grpc.py [HOST:PORT] [PICTURE]`."""

import sys

import grpc

from gateway.api.v1 import lookalike_pb2 as pb
from gateway.api.v1 import lookalike_pb2_grpc

with grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8081") as channel:
    shop = lookalike_pb2_grpc.LookalikeStub(channel)
    cheap = {"must": [{"key": "price", "range": {"lte": 200}}]}
    query = pb.SearchRequest(query=[pb.Part(text="red shoe")], filter=cheap, limit=3)
    for hit in shop.Search(query, timeout=5).hits:
        print(f"{hit.score:.3f}  {hit.item['title']}  {hit.item['price']}")
    for path in sys.argv[2:]:
        with open(path, "rb") as picture:
            query = pb.SearchRequest(query=[pb.Part(image=picture.read())], limit=3)
        print([hit.item["title"] for hit in shop.Search(query, timeout=5).hits])
