"""What an image is called and what it is. Pure: text and values in, values out.

reference   a name, as an engine or a person writes it, in the grammar of Docker
wildcard    text with `*`, and many of them asked at once
selector    patterns over names: what a removal rule or a protection covers
image       Image and Container: what is known of them, nothing of an engine's JSON
layers      chain IDs, sizes of layers, and what removing images really frees
"""
