#!/bin/sh
# Searches a running gateway with curl, by words and by a picture: search.sh [URL] [PICTURE]
set -eu
url=${1:-http://127.0.0.1:8080}

curl --fail-with-body --silent --show-error "$url/v1/search" \
    --header 'content-type: application/json' --data '{
  "query": [{"text": "red shoe"}],
  "filter": {"must": [{"key": "price", "range": {"lte": 200}}]},
  "limit": 3, "fields": ["title", "price"]}'
echo

if [ $# -gt 1 ]; then
    curl --fail-with-body --silent --show-error "$url/v1/search/image" \
        --form "image=@$2" --form limit=3 --form fields=title
    echo
fi
