"""The tensors' names: the same in every target, so the gateway never knows which one serves."""

IMAGE_INPUT = "image"
TEXT_INPUT = "text"

# Not "embedding": PyTorch's exporter gives that name to an operator of its own, and a graph with
# the name twice does not load.
OUTPUT_NAME = "vector"
