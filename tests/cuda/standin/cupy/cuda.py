"""``cupy.cuda``: one device that is always there, streams and events that tell the time of the host."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from cupy import _counts


class Device:
    """The device."""

    compute_capability = "90"
    mem_info = (64 * 2 ** 30, 80 * 2 ** 30)         # bytes: free, in all

    def __init__(self, device: Any = 0) -> None:
        self.id = int(device)

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return self.id

    def __int__(self) -> int:
        return self.id

    def use(self) -> Device:
        return self

    def synchronize(self) -> None:
        _counts.sync("Device.synchronize")

    @property
    def attributes(self) -> dict[str, int]:
        return {"MultiProcessorCount": 132, "MaxSharedMemoryPerBlock": 49152}


class MemoryPointer:
    """Where an array begins."""

    def __init__(self, ptr: int) -> None:
        self.ptr, self.device_id, self.device = ptr, 0, Device()


class Stream:
    """A stream; work is done at once, so there is nothing to wait for, but waiting counts."""

    null: Stream

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False) -> None:
        self.ptr = 0

    def synchronize(self) -> None:
        _counts.sync("Stream.synchronize")


Stream.null = Stream(null=True)


class Event:
    """A point in time."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self.time = 0.0

    def record(self, stream: Any = None) -> None:
        self.time = perf_counter()

    def synchronize(self) -> None:
        _counts.sync("Event.synchronize")


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    """Return milliseconds."""
    return (end_event.time - start_event.time) * 1e3


def get_current_stream(device_id: int = -1) -> Stream:
    return Stream.null


def is_available() -> bool:
    return True


class runtime:      # noqa: N801 (a module, in CuPy)
    """The part of the CUDA runtime's interface that is asked."""

    class CUDARuntimeError(RuntimeError):
        pass

    @staticmethod
    def driverGetVersion() -> int:
        return 12080

    @staticmethod
    def runtimeGetVersion() -> int:
        return 12090

    @staticmethod
    def getDeviceCount() -> int:
        return 1

    @staticmethod
    def getDevice() -> int:
        return 0

    @staticmethod
    def getDeviceProperties(device: int) -> dict[str, Any]:
        return {"name": b"stand-in", "totalGlobalMem": 80 * 2 ** 30, "multiProcessorCount": 132, "major": 9, "minor": 0,
                "sharedMemPerBlock": 49152, "sharedMemPerBlockOptin": 232448, "regsPerBlock": 65536}
