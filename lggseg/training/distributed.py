"""Several processes that train together under torchrun: who is who, and decisions that all of them take alike."""

import os
from collections.abc import Callable
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import distributed, nn

from ..errors import LggError
from ..model.device import pick_device

Answer = TypeVar("Answer")


def rank() -> int:
    """This process's number under torchrun, 0 otherwise."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


@contextmanager
def processes(device: str | None):
    """Meet the other processes where torchrun started several: over nccl on GPUs, one each, else over gloo."""
    if int(os.environ.get("WORLD_SIZE", 1)) < 2 or distributed.is_initialized():
        yield
        return
    where = pick_device(device)
    if where.type == "cuda":
        torch.cuda.set_device(where)
    distributed.init_process_group("nccl" if where.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def first_then_all(task: Callable[[], Answer]) -> Answer:
    """`task` in the first process, then in the others: what it writes for all of them is written once."""
    if rank():
        distributed.barrier()
        return task()
    answer = task()
    if world_size() > 1:
        distributed.barrier()
    return answer


def first_decides(task: Callable[[], float]) -> float:
    """What `task` returns in the first process, in all of them; the others do not run it."""
    if world_size() == 1:
        return task()
    answer = [task() if rank() == 0 else None]
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
        raise LggError(f"batch={batch}: {world_size()} processes cannot share it evenly; make it a multiple of "
                       f"{world_size()}")
    return batch // world_size()


def parallel(network: nn.Module, device: torch.device) -> nn.Module:
    """The network as each process trains it: gradients averaged over all of them, batch norm over all on GPUs.

    PyTorch synchronises the statistics of batch norm on GPUs only: over gloo each process normalises its own part of
    the batch, and the first one's running averages count.
    """
    if world_size() == 1:
        return network
    if device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return nn.parallel.DistributedDataParallel(network)
