from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from typing_extensions import override

from core.errors import BlobChangedError, BlobError, BlobUnavailableError
from repositories.ports import BlobEntry, BlobPage, BlobRange, BlobStore


@dataclass(frozen=True)
class StoredBlob:
    data: bytes
    version: str
    content_type: str = "application/octet-stream"
    content_encoding: str | None = None


class FakeBlobStore(BlobStore):
    """One storage account in memory.

    Attributes:
        containers: their blobs by name.
        page_entries: entries of a page of a listing.
        fails: what the next calls fail with.
        reads: the ranges that were read: name, offset, length.
        listed: the prefixes that a page was listed of.
    """

    def __init__(self, *containers: str, page_entries: int = 2) -> None:
        self.containers: dict[str, dict[str, StoredBlob]] = {name: {} for name in containers}
        self.page_entries = page_entries
        self.fails: list[Exception] = []
        self.reads: list[tuple[str, int, int]] = []
        self.listed: list[str] = []
        self._staged: dict[tuple[str, str], dict[str, bytes]] = {}
        self._versions = count(1)

    def put(self, container: str, name: str, data: bytes, content_encoding: str | None = None) -> None:
        """Writes a blob in one piece, as another program does."""
        stored = StoredBlob(data, f"0x{next(self._versions):08X}", content_encoding=content_encoding)
        self.containers[container][name] = stored

    @override
    def read(self, container: str, name: str, offset: int, length: int, version: str | None = None) -> BlobRange:
        self.reads.append((name, offset, length))
        blobs = self._blobs(container)
        if name not in blobs:
            raise BlobError(f"the blob {container}/{name}: there is no such blob")
        blob = blobs[name]
        if version not in {None, blob.version}:
            raise BlobChangedError(f"the blob {container}/{name} has changed")
        if blob.content_encoding is not None:
            raise BlobError(f"the blob {container}/{name} is stored compressed")
        return BlobRange(blob.data[offset : offset + length], len(blob.data), blob.version)

    @override
    def list_page(self, container: str, prefix: str, marker: str | None = None) -> BlobPage:
        self.listed.append(prefix)
        blobs = self._blobs(container)
        names = sorted(name for name in blobs if name.startswith(prefix) and name >= (marker or ""))
        here, rest = names[: self.page_entries], names[self.page_entries :]
        entries = [BlobEntry(name, len(blobs[name].data), blobs[name].version) for name in here]
        return BlobPage(entries, rest[0] if rest else None)

    @override
    def stage_block(self, container: str, name: str, block_id: str, data: bytes) -> None:
        self._blobs(container)
        self._staged.setdefault((container, name), {})[block_id] = data

    @override
    def commit_blocks(self, container: str, name: str, block_ids: Sequence[str], content_type: str) -> None:
        blobs, staged = self._blobs(container), self._staged.get((container, name), {})
        if any(each not in staged for each in block_ids):
            raise BlobUnavailableError(f"the blob {container}/{name}: InvalidBlockList")
        data = b"".join(staged[each] for each in block_ids)
        blobs[name] = StoredBlob(data, f"0x{next(self._versions):08X}", content_type)
        # As the service does: those of the list stay as the blocks of the blob, and all others are gone.
        self._staged[container, name] = {each: staged[each] for each in block_ids}

    @override
    def close(self) -> None:
        """Has no connections."""

    def _blobs(self, container: str) -> dict[str, StoredBlob]:
        if self.fails:
            raise self.fails.pop(0)
        if container not in self.containers:
            raise BlobError(f"the container {container}: there is no such container")
        return self.containers[container]
