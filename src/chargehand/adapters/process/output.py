"""Takes what a process prints into a file that cannot grow over its cap: head, a line about the gap, tail."""

from __future__ import annotations

import os
from pathlib import Path

from chargehand.domain.secrecy import Strainer

__all__ = ["CappedFile"]

RECENT_BYTES = 4096
COPY_BYTES = 1024 * 1024
FLAGS = os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class CappedFile:
    """A file of at most `cap` bytes: the first half as it came, then a ring with the newest of the rest.

    Writing never fails: when the file system refuses, the bytes count as dropped and `problem` says why, so
    that the process on the other side of the pipe is never blocked by our disk. With a `strainer` no secret that it
    knows is ever written or remembered, not even for a moment.
    """

    def __init__(self, path: Path, cap: int, strainer: Strainer | None = None) -> None:
        self._strainer = strainer
        self._path = path
        self._ring_path = path.with_name(path.name + ".tail")
        self._head_room = max(cap // 2, 1)
        self._ring_size = max(cap - self._head_room, 1)
        self._ring: int | None = None
        self._ring_total = 0
        self._lost = 0
        self.problem = ""
        self.recent = b""
        self._head = os.open(path, os.O_WRONLY | FLAGS, 0o600)
        self._ring_path.unlink(missing_ok=True)

    def write(self, data: memoryview) -> None:
        """Take `data`; bounded in memory and on disk."""
        self._take(data if self._strainer is None else memoryview(self._strainer.feed(bytes(data))))

    def _take(self, data: memoryview) -> None:
        size = len(data)
        end = bytes(data[-RECENT_BYTES:])
        self.recent = end if len(end) == RECENT_BYTES else (self.recent + end)[-RECENT_BYTES:]
        try:
            taken = self._write_head(data)
            if taken < size:
                self._write_ring(data[taken:])
        except OSError as error:
            self._lost += size
            self.problem = f"{self._path} could not be written: {error.strerror}."

    def _write_head(self, data: memoryview) -> int:
        part = data[: self._head_room]
        written = 0
        while written < len(part):
            step = os.write(self._head, part[written:])
            written += step
            self._head_room -= step
        return written

    def _write_ring(self, data: memoryview) -> None:
        if self._ring is None:
            self._ring = os.open(self._ring_path, os.O_RDWR | FLAGS, 0o600)
        if len(data) > self._ring_size:
            self._ring_total += len(data) - self._ring_size
            data = data[-self._ring_size :]
        while data:
            place = self._ring_total % self._ring_size
            step = os.pwrite(self._ring, data[: self._ring_size - place], place)
            self._ring_total += step
            data = data[step:]

    @property
    def dropped(self) -> int:
        """How many bytes the finished file does not show."""
        return max(0, self._ring_total - self._ring_size) + self._lost

    @property
    def last_line(self) -> str:
        """The last line that is not blank, as far as it is remembered."""
        lines = self.recent.decode(errors="replace").replace("\r", "\n").splitlines()
        return next((line for line in reversed(lines) if line.strip()), "")

    @property
    def unfinished(self) -> bool:
        """Whether `close` has a tail to copy, which may take a while."""
        return self._ring is not None

    def close(self) -> None:
        """Put head and tail together; harmless when repeated."""
        if self._head >= 0 and self._strainer is not None:
            self._take(memoryview(self._strainer.rest()))
        head, self._head = self._head, -1
        if head < 0:
            return
        try:
            if self._ring is not None:
                self._append_ring(head, self._ring)
        except OSError as error:
            self.problem = f"{self._path} could not be written: {error.strerror}."
        finally:
            os.close(head)
            if self._ring is not None:
                os.close(self._ring)
                self._ring_path.unlink(missing_ok=True)

    def _append_ring(self, head: int, ring: int) -> None:
        gap = self._ring_total - self._ring_size
        if gap <= 0:
            _copy(ring, head, 0, self._ring_total)
            return
        os.write(head, b"\n[\xe2\x80\xa6 %d bytes dropped \xe2\x80\xa6]\n" % gap)
        place = self._ring_total % self._ring_size
        _copy(ring, head, place, self._ring_size - place)
        _copy(ring, head, 0, place)


def _copy(source: int, target: int, offset: int, count: int) -> None:
    end = offset + count
    while offset < end:
        data = os.pread(source, min(COPY_BYTES, end - offset), offset)
        if not data:
            return
        while data:
            step = os.write(target, data)
            offset += step
            data = data[step:]
