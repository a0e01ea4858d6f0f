"""Several processes that train together under torchrun."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import distributed, nn

from ..errors import LggError
from ..model.device import pick_device

Answer = TypeVar("Answer")


def rank() -> int:
    """This process's number under torchrun, 0 otherwise."""
    if distributed.is_initialized():
        return distributed.get_rank()
    return 0


def world_size() -> int:
    """How many processes train together."""
    if distributed.is_initialized():
        return distributed.get_world_size()
    return 1


@contextmanager
def processes(device: str | None) -> Iterator[None]:
    """Connect with the other processes, where torchrun started several.

    Over nccl on GPUs, one for each process, else over gloo.

    Parameters
    ----------
    device : as `pick_device` takes it
    """
    if int(os.environ.get("WORLD_SIZE", 1)) < 2 or distributed.is_initialized():
        yield
        return
    where = pick_device(device)
    if where.type == "cuda":
        torch.cuda.set_device(where)
        distributed.init_process_group("nccl")
    else:
        distributed.init_process_group("gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def first_then_all(task: Callable[[], Answer]) -> Answer:
    """Run `task` in the first process, then in the others: files for all are written once."""
    if rank() != 0:
        distributed.barrier()
        return task()
    answer = task()
    if world_size() > 1:
        distributed.barrier()
    return answer


def first_decides(task: Callable[[], Answer]) -> Answer:
    """What `task` returns in the first process, in all of them; the others do not run it."""
    if world_size() == 1:
        return task()
    answer: list[Any] = [None]
    if rank() == 0:
        answer = [task()]
    distributed.broadcast_object_list(answer)
    return answer[0]


def mean_of_all(values: torch.Tensor) -> torch.Tensor:
    """The mean of a tensor over all processes; NaN in one is NaN in all."""
    if world_size() > 1:
        distributed.all_reduce(values)
        values = values / world_size()
    return values


def share_of(batch: int) -> int:
    """Slices of a batch that each process gets; LggError where they cannot be shared out evenly."""
    if batch % world_size():
        raise LggError(
            f"batch={batch}: {world_size()} processes cannot share it evenly; make it a multiple "
            f"of {world_size()}"
        )
    return batch // world_size()


def parallel(network: nn.Module, device: torch.device) -> nn.Module:
    """The network as each process trains it, its gradients averaged over all of them.

    On GPUs batch norm takes its statistics over all processes, too. PyTorch cannot do so over gloo:
    there each process normalises its own part of the batch, and the first one's running averages
    count.
    """
    if world_size() == 1:
        return network
    if device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return nn.parallel.DistributedDataParallel(network)
