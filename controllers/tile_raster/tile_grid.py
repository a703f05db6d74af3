"""Which pixels of a raster belong to which tile."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: its left upper corner, from (0, 0), and its size."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column on its right."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row below it."""
        return self.top + self.height

    def within(self, other: "Box") -> "Box":
        """The same pixels, counted from the corner of another box."""
        return Box(self.left - other.left, self.top - other.top, self.width, self.height)


@dataclass(frozen=True)
class Tile:
    """One tile.

    Attributes:
        index: its place in the grid, row by row, from 0.
        name: of its file.
        core: the pixels that no other tile has as its core.
        outer: the core, and the overlap around it as far as the raster reaches.
    """

    index: int
    name: str
    core: Box
    outer: Box


@dataclass(frozen=True)
class TileGrid:
    """The tiles of a raster; those of the last row and column may be smaller."""

    width: int
    height: int
    tile_size: int
    overlap: int

    @property
    def columns(self) -> int:
        """The number of tiles side by side."""
        return -(-self.width // self.tile_size)

    @property
    def count(self) -> int:
        """The number of tiles."""
        return self.columns * -(-self.height // self.tile_size)

    def tile(self, index: int) -> Tile:
        """Returns a tile by its index."""
        row, column = divmod(index, self.columns)
        left, top = column * self.tile_size, row * self.tile_size
        core = self._box(left, top, left + self.tile_size, top + self.tile_size)
        outer = self._box(
            core.left - self.overlap, core.top - self.overlap, core.right + self.overlap, core.bottom + self.overlap
        )
        return Tile(index, f"r{row:05}_c{column:05}.tif", core, outer)

    def _box(self, left: int, top: int, right: int, bottom: int) -> Box:
        """A box that ends where the raster ends."""
        left, top = max(left, 0), max(top, 0)
        return Box(left, top, min(right, self.width) - left, min(bottom, self.height) - top)
