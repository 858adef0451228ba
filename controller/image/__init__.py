"""Image names and images. Pure.

reference   an image name in Docker's grammar
wildcard    text with `*`, and an index over many of them
selector    patterns over names, which removal rules and protections use
image       Image and Container, the same for every engine
layers      chain IDs, layer sizes, and the bytes that removing images frees
"""
