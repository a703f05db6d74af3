from hypothesis import given
from hypothesis import strategies as st

from controllers.tile_raster.tile_grid import Box, TileGrid

grids = st.builds(
    TileGrid,
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    tile_size=st.sampled_from([4, 8, 16]),
    overlap=st.integers(0, 2),
)


def pixels(box: Box) -> list[tuple[int, int]]:
    return [(x, y) for x in range(box.left, box.right) for y in range(box.top, box.bottom)]


@given(grids)
def test_the_cores_of_the_tiles_cover_each_pixel_once(grid: TileGrid) -> None:
    covered = [pixel for index in range(grid.count) for pixel in pixels(grid.tile(index).core)]
    assert sorted(covered) == pixels(Box(0, 0, grid.width, grid.height))


@given(grids)
def test_a_tile_reaches_over_its_core_by_the_overlap_or_to_the_edge_of_the_raster(grid: TileGrid) -> None:
    for index in range(grid.count):
        tile = grid.tile(index)
        assert tile.outer.left == max(0, tile.core.left - grid.overlap)
        assert tile.outer.top == max(0, tile.core.top - grid.overlap)
        assert tile.outer.right == min(grid.width, tile.core.right + grid.overlap)
        assert tile.outer.bottom == min(grid.height, tile.core.bottom + grid.overlap)


@given(grids)
def test_the_core_within_the_tile_is_the_core(grid: TileGrid) -> None:
    for index in range(grid.count):
        tile = grid.tile(index)
        within = tile.core.within(tile.outer)
        assert (within.left + tile.outer.left, within.top + tile.outer.top) == (tile.core.left, tile.core.top)
        assert (within.width, within.height) == (tile.core.width, tile.core.height)


@given(grids)
def test_tiles_have_names_of_their_own_that_sort_row_by_row(grid: TileGrid) -> None:
    names = [grid.tile(index).name for index in range(grid.count)]
    assert names == sorted(set(names))
