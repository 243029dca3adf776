"""The processes of one run: how they find one another, what they share, how they end together.

`torchrun` starts the same command in every process and tells each its place by environment variables. A run
of many processes is the run of one, computed in parts: every process takes its slice of each global batch,
the latents of all are gathered before anything is computed from them, and gradients are added up. So the
number of processes changes nothing but rounding.

The loss is the mean reconstruction over the batch plus the price of everybody's latents. Every process knows
the whole price, so it takes the gradient of both by its own latents, and by the weights through these; the
sum over processes is the gradient (`pellucid.training.gradient`).

Two ways of waiting. Within and between steps every process is soon at the same place: ten minutes. Where one
works and the others wait (`together`), it may decode a million images: a day. A process that dies closes its
connections, so both notice it at once; the times are for machines that vanish without a word.
"""

import gc
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from typing import ParamSpec, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from pellucid.errors import ConfigError, TrainingError
from pellucid.model.posterior import Posterior
from pellucid.training.pace import Work

_STEP_PATIENCE = timedelta(minutes=10)
_WORK_PATIENCE = timedelta(days=1)
PLACE = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells each process, by environment variables."""

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class PeerError(TrainingError):
    """Another process of the run failed, and says why itself."""


@dataclass(frozen=True)
class Processes:
    """All processes of a run, as one of them sees them. Alone, every method does nothing at no cost.

    Attributes:
        rank: The number of this one, from 0 on.
        count: How many there are.
        local_rank: The number of this one on its machine, from 0 on.
        device: Where this one computes: a name such as `cuda:3`; what was asked for, if it is alone.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    device: str = "auto"
    _waiting: list[dist.ProcessGroup] = field(default_factory=list)  # emptied in the end

    @property
    def alone(self) -> bool:
        """Whether there is only this one."""
        return self.count == 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes, prints and decides."""
        return self.rank == 0

    def part(self, batch_size: int) -> slice:
        """The slice of a global batch that this process takes.

        Raises:
            ConfigError: If the batch cannot be divided evenly.
        """
        if batch_size % self.count:
            raise ConfigError(
                f"batch_size: expected a multiple of {self.count}, because it is the batch of all "
                f"{self.count} processes together, got {batch_size}. Change --batch-size or --nproc-per-node."
            )
        size = batch_size // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def gather(self, posterior: Posterior) -> Posterior:
        """The posteriors of all processes in the order of the global batch, without graph."""
        if self.alone:
            return posterior
        both = torch.cat([posterior.mean, posterior.log_variance], dim=1)  # one message instead of two
        gathered = both.new_empty((len(both) * self.count, both.shape[1]))
        dist.all_gather(list(gathered.chunk(self.count)), both)
        mean, log_variance = gathered.chunk(2, dim=1)
        return Posterior(mean.contiguous(), log_variance.contiguous())

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite every tensor by its sum over all processes."""
        if self.alone:
            return
        flat = [tensor.flatten() for tensor in tensors]
        message = torch.cat(flat)
        dist.all_reduce(message)
        for tensor, total in zip(tensors, torch.split(message, [len(part) for part in flat]), strict=True):
            tensor.copy_(total.view(tensor.shape))

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """The mean of each value over all processes; all have values of the same names."""
        if self.alone:
            return dict(values)
        means = torch.tensor(list(values.values()), dtype=torch.float64)
        dist.all_reduce(means)
        return dict(zip(values, (means / self.count).tolist(), strict=True))

    def agree(
        self, seconds: float, due: tuple[Work, ...], stop: bool
    ) -> tuple[float, tuple[Work, ...], bool]:
        """Time and due work as the first process sees them, and whether any wants to stop: one message."""
        if self.alone:
            return seconds, due, stop
        flags = sum(work.value for work in due)
        heard = torch.tensor([seconds, flags, stop] if self.leads else [0, 0, stop], dtype=torch.float64)
        dist.all_reduce(heard)
        flags = int(heard[1])
        return float(heard[0]), tuple(work for work in Work if work.value & flags), bool(heard[2] > 0)

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite every tensor by that of the first process."""
        if self.alone:
            return
        for tensor in tensors:
            message = tensor.detach().contiguous()
            dist.broadcast(message, 0)
            tensor.detach().copy_(message)

    def text_of_first(self, text: str) -> str:
        """The text that the first process gives."""
        if self.alone:
            return text
        message = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
        length = torch.tensor([len(message)])
        dist.broadcast(length, 0)
        if not self.leads:
            message = torch.empty(int(length), dtype=torch.uint8)
        dist.broadcast(message, 0)
        return message.numpy().tobytes().decode()

    @contextmanager
    def together(self) -> Iterator[None]:
        """A piece of work that no process leaves before all have done theirs; where one fails, all do.

        It must not send messages itself: a process that fails does not send its own.

        Raises:
            PeerError: If another one failed; of several, the first says why.
        """
        if self.alone:
            yield
            return
        try:
            yield
        except Exception as error:
            first = self._first_to_fail(failed=True)
            if first == self.rank:
                raise
            raise self._peer_error(first) from error
        first = self._first_to_fail(failed=False)
        if first < self.count:
            raise self._peer_error(first)

    def first(
        self, work: Callable[_Arguments, object], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> None:
        """Have the first process alone do something, while the others wait."""
        with self.together():
            if self.leads:
                work(*args, **kwargs)

    def in_turn(self, work: Callable[[], _Result]) -> _Result:
        """Do something first in one process of each machine, then in the others, who find it prepared."""
        results: list[_Result] = []
        for mine in (self.local_rank == 0, self.local_rank > 0):
            with self.together():
                if mine:
                    results.append(work())
        return results[0]

    def _first_to_fail(self, *, failed: bool) -> int:
        """The lowest rank that failed; the number of processes if none did."""
        rank = torch.tensor([self.rank if failed else self.count])
        dist.all_reduce(rank, dist.ReduceOp.MIN, group=self._waiting[0])
        return int(rank)

    def _peer_error(self, rank: int) -> PeerError:
        return PeerError(f"process {rank} of {self.count}, counted from 0, failed; it says why itself.")


ALONE = Processes()
"""A run of one process."""


@contextmanager
def joined(device: str = "auto") -> Iterator[Processes]:
    """Join the other processes of the run, if torchrun has started this one as one of several.

    After an error in here the process should end: the others know by its end that they are fewer.

    Args:
        device: `auto`, `cuda` or `cpu`; on a machine with several GPUs every process takes its own. Alone,
            whatever `resolve_device` takes.

    Raises:
        ConfigError: If torchrun's variables are incomplete, or the device is not one for many processes.
        TrainingError: If the processes do not find one another; if one is lost while they work.
    """
    count = _whole("WORLD_SIZE", os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(device=device)
        return
    processes = _join(count, device)
    try:
        yield processes
    except RuntimeError as error:
        if not _tells_of_a_loss(error):
            raise
        raise TrainingError(
            f"a process of this run was lost; this one, {processes.rank} of {count}, ends, too. "
            "What was saved last is whole: go on with --resume, with any number of processes."
        ) from error
    # Nothing may keep the groups alive: if their threads still run when the interpreter ends, it aborts.
    processes._waiting.clear()
    dist.destroy_process_group()
    gc.collect()


def _join(count: int, device: str) -> Processes:
    missing = [name for name in PLACE if name not in os.environ]
    if missing:
        raise ConfigError(
            f"WORLD_SIZE says {count} processes; expected {', '.join(missing)} beside it. Start them by "
            "torchrun --nproc-per-node N -m pellucid train ..., or unset WORLD_SIZE."
        )
    rank, local_rank = (_whole(name, os.environ[name]) for name in ("RANK", "LOCAL_RANK"))
    device = _device_of(device, local_rank)
    on_cuda = device.startswith("cuda")
    if on_cuda:
        torch.cuda.set_device(device)
    import_module(
        "torch._dynamo"
    )  # optimizers do while they work; what that imports then keeps the group alive
    try:
        # Messages about the run are on the CPU, so they go by gloo and never wait for the GPU's queue.
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_cuda else "gloo", timeout=_STEP_PATIENCE)
        waiting = dist.new_group(backend="gloo", timeout=_WORK_PATIENCE)
    except (RuntimeError, ValueError) as error:
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise TrainingError(
            f"the {count} processes of this run did not find one another at {place} "
            f"({str(error).splitlines()[0]}). Can every machine reach it?"
        ) from error
    return Processes(rank, count, local_rank, device, [waiting])


def _whole(name: str, text: str) -> int:
    if not text.isdecimal() or (name == "WORLD_SIZE" and int(text) < 1):
        raise ConfigError(f"{name}: expected a whole number from torchrun, got {text!r}. Unset it.")
    return int(text)


def _device_of(device: str, local_rank: int) -> str:
    """The device of one of several processes: its own GPU, or the CPU that they share."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cuda", "cpu"):
        raise ConfigError(
            f"device: expected auto, cuda or cpu for several processes, got {device!r}. Every process takes "
            "its own GPU by itself; CUDA_VISIBLE_DEVICES chooses among them."
        )
    if device == "cuda" and local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"expected a GPU for each process on this machine, got {torch.cuda.device_count()} for more than "
            f"{local_rank} processes. Lower --nproc-per-node."
        )
    return f"cuda:{local_rank}" if device == "cuda" else device


def _tells_of_a_loss(error: RuntimeError) -> bool:
    """Whether it is a message between processes that failed; gloo's errors have no type of their own."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)
