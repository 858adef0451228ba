"""Compute chain IDs and layer sizes, and the bytes that removing images frees.

Layers are shared, so sizes of images cannot be summed. A size that is not certain is unknown, never a guess. Chain IDs
are those of the OCI image specification (config.md, Layer ChainID).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NewType

from controller.value import dataclass

ChainId = NewType("ChainId", str)
"""`sha256:` and 64 hexadecimal digits: a layer with all layers below it."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer on top of its parent; images with the same layers up to here share it."""

    chain: ChainId
    parent: ChainId | None
    size_bytes: int | None
    """None if the engine's history does not determine it."""


@dataclass(frozen=True, slots=True)
class Reclaim:
    """The bytes that a removal frees: exact, or a lower bound. 0 and not exact means unknown."""

    at_least_bytes: int
    is_exact: bool


def chain_ids(diff_ids: Iterable[str]) -> tuple[ChainId, ...]:
    """chain 0 = diff 0; chain n = SHA-256 of "chain n-1, blank, diff n". Lowest layer first, as in `RootFS.Layers`."""
    chains: list[ChainId] = []
    for diff in diff_ids:
        chained = f"sha256:{sha256(f'{chains[-1]} {diff}'.encode()).hexdigest()}" if chains else diff
        chains.append(ChainId(chained))
    return tuple(chains)


def layers_of(diff_ids: Sequence[str], history_sizes_newest_first: Sequence[int]) -> tuple[Layer, ...]:
    """An image's layers, lowest first, each with its size if the history determines it."""
    chains = chain_ids(diff_ids)
    sizes = _certain_sizes(len(chains), history_sizes_newest_first[::-1])
    return tuple(Layer(*each) for each in zip(chains, (None, *chains), sizes, strict=False))


def _certain_sizes(layers: int, history: Sequence[int]) -> list[int | None]:
    """Match layers with history entries, both oldest first; the size of each layer, None if it is ambiguous.

    Entries with a size are layers. An entry of 0 bytes may be a layer (mkdir) or not (ENV). Layer i can be entry e only
    if the layers below it can hold every entry with a size below e, and not more entries than exist; same above.
    """
    with_size_below = [0]
    for size in history:
        with_size_below.append(with_size_below[-1] + (size != 0))
    possible: list[set[int]] = [set() for _ in range(layers)]
    for entry, size in enumerate(history):
        with_size_above = with_size_below[-1] - with_size_below[entry + 1]
        above = len(history) - entry - 1
        first = max(with_size_below[entry], layers - 1 - above)
        last = min(entry, layers - 1 - with_size_above)
        for layer in range(first, last + 1):
            possible[layer].add(size)
    return [sizes.pop() if len(sizes) == 1 else None for sizes in possible]


def merge_layers(layers: Iterable[Layer]) -> dict[ChainId, Layer]:
    """One layer per chain ID; a size that one image's history does not determine may be known from another's."""
    merged: dict[ChainId, Layer] = {}
    for layer in layers:
        known = merged.get(layer.chain)
        if known is None or known.size_bytes is None:
            merged[layer.chain] = _sharing(layer, merged)
    return merged


def _sharing(layer: Layer, others: Mapping[ChainId, Layer]) -> Layer:
    """The same layer with the chain ID of its parent as that has it: there are as many copies as images."""
    parent = others.get(layer.parent) if layer.parent else None
    if parent is None or parent.chain is layer.parent:
        return layer
    return Layer(layer.chain, parent.chain, layer.size_bytes)


def freed_bytes(deleted_rows: Iterable[str], sizes: Mapping[ChainId, int | None]) -> int | None:
    """The sum of the layers that the answer to one delete names as deleted; None if one of the sizes is unknown.

    A graph driver answers with the image ID and the chain ID of each deleted layer. `sizes` has the layers of all
    images. One row that is not in it is the image; a second one is an unknown layer.
    """
    rows = set(deleted_rows)
    of_layers = [sizes[ChainId(row)] for row in rows if row in sizes]
    if len(rows) - len(of_layers) > 1:
        return None
    known = [size for size in of_layers if size is not None]
    return sum(known) if len(known) == len(of_layers) else None


class LayerTree:
    """The layers of all images of an engine, with the number of images and layers that use each.

    Sums are exact to the byte on graph drivers and approximate on other stores, like the engine's history.
    """

    def __init__(self, layers: Iterable[Layer], tips: Iterable[ChainId | None]) -> None:
        """`tips` has the top layer of every image: empty without layers, None if they are unknown."""
        self._layers = merge_layers(layers)
        self._holders: Counter[ChainId] = Counter()
        self._unread_images = 0
        for tip in tips:
            self._unread_images += tip is None
            self._hold(tip)

    def _hold(self, chain: ChainId | None) -> None:
        """Count one user more; a layer that is used for the first time uses its parent."""
        while chain:
            self._holders[chain] += 1
            if self._holders[chain] > 1 or chain not in self._layers:
                return
            chain = self._layers[chain].parent

    def alone(self, tip: ChainId | None) -> Reclaim:
        """What the removal of one image frees if all others are kept."""
        return self.together([tip])

    def together(self, tips: Iterable[ChainId | None]) -> Reclaim:
        """What the removal of these images frees, one tip for each.

        A kept image with unknown layers may use any of them, so that nothing is certain.
        """
        released: Counter[ChainId] = Counter()
        freed: list[int | None] = []
        unread_images = 0
        for tip in tips:
            unread_images += tip is None
            freed += self._release(tip, released)
        if unread_images < self._unread_images:
            return Reclaim(0, is_exact=False)
        known = [size for size in freed if size is not None]
        return Reclaim(sum(known), is_exact=len(known) == len(freed) and not unread_images)

    def in_turn(self, tips: Iterable[ChainId | None]) -> list[Reclaim]:
        """What each removal frees if they run one after the other; the sum is that of all."""
        released: Counter[ChainId] = Counter()
        freed = [list(self._release(tip, released)) for tip in tips]
        return [
            Reclaim(sum(filter(None, sizes)), is_exact=None not in sizes and not self._unread_images) for sizes in freed
        ]

    def _release(self, chain: ChainId | None, released: Counter[ChainId]) -> Iterator[int | None]:
        """Count one user less; the sizes of the layers without users, from the top down."""
        while chain:
            released[chain] += 1
            if released[chain] != self._holders[chain]:
                return
            layer = self._layers.get(chain)
            yield layer.size_bytes if layer else None
            chain = layer.parent if layer else None
