"""Searches a running gateway by words and by a picture: `python search_http.py [URL] [PICTURE]`."""

import sys

import httpx

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"

with httpx.Client(base_url=url, timeout=5) as shop:
    query = {
        "query": [{"text": "red shoe"}],
        "filter": {"must": [{"key": "price", "range": {"lte": 200}}]},
        "limit": 3,
    }
    answer = shop.post("/v1/search", json=query).raise_for_status().json()
    for hit in answer["hits"]:
        print(f"{hit['score']:.3f}  {hit['item']['title']}  {hit['item']['price']}")

    if len(sys.argv) > 2:
        with open(sys.argv[2], "rb") as picture:
            answer = shop.post("/v1/search/image", files={"image": picture}, data={"limit": 3})
        print([hit["item"]["title"] for hit in answer.raise_for_status().json()["hits"]])
