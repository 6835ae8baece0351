"""On a GPU the host does not look before each update; what must not be updated is not updated.

The device is a CPU here, told to behave so.
"""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.fit import Training
from mktn.engine.interrupts import Interrupts, Stopped
from mktn.engine.late import MOST, LateCheck, Step
from mktn.engine.objective import Objective
from mktn.engine.resume import Checkpointer, read, write
from mktn.engine.run_config import RunConfig, TrainConfig
from mktn.engine.train import model_config
from mktn.errors import UserError
from mktn.grouping.loader import LoaderConfig, PairData
from mktn.grouping.resident import Placed
from mktn.models import build
from mktn.models.similarity import frame_word_similarity, object_phrase_similarity
from mktn.models.variants import VARIANTS
from tests.batches import SIZES, random_batch
from tests.engine.runs import NAMES

# Operations of which the host must hear a value, or how large the result is.
WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim"}


class Asked(TorchDispatchMode):
    """The operations that a host would wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func._schema.name.split("::")[1]
        given = args[1] if len(args) > 1 and isinstance(args[1], list | tuple) else ()
        masks = [i for i in given if isinstance(i, torch.Tensor) and i.dtype == torch.bool]
        if name in WAITS or (name.startswith("index") and masks):
            self.waited.add(name)
        return func(*args, **(kwargs or {}))


@pytest.fixture
def like_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors that say they are on a GPU, where code asks them."""
    monkeypatch.setattr(torch.Tensor, "is_cuda", True, raising=False)


def objective(variant: str) -> Objective:
    torch.manual_seed(0)
    return Objective(build("mktn", variant, SIZES), Criterion(LossConfig(), VARIANTS[variant]))


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_operation_of_a_step_makes_the_host_wait(variant: str, like_a_gpu: None) -> None:
    asked, module, batch = Asked(), objective(variant), random_batch()
    with asked:
        module(batch, 0.5)["total"].backward()
    assert asked.waited == set()


def test_what_would_wait_is_seen() -> None:
    asked, module, batch = Asked(), objective("full"), random_batch()
    with asked:
        module(batch, 0.5)["total"].backward()
    assert asked.waited == {"_local_scalar_dense", "nonzero"}  # as it is on a CPU


@pytest.mark.parametrize("block", [40, 32_000_000])
def test_gradients_of_similarities_are_those_of_the_cpu(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = random_batch()
    generator = torch.Generator().manual_seed(1)
    shapes = ((3, 12, 5), (6, 6, 5), (3, 12, 3, 5), (6, 2, 5))
    given = [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]
    phrases = torch.tensor([[True, True]] * 5 + [[False, False]])  # one query has no phrase

    def gradients() -> list[torch.Tensor]:
        frames, words, objects, parts = given
        first = frame_word_similarity(frames, batch.frame_mask, words, batch.word_mask)
        second = object_phrase_similarity(objects, batch.frame_mask, parts, phrases)
        weight = torch.linspace(-1, 1, first.numel()).view(first.shape)
        return [*torch.autograd.grad(((first + second) * weight).sum(), given)]

    expected = gradients()
    monkeypatch.setattr("mktn.models.similarity.GPU_ELEMENTS", block)
    monkeypatch.setattr(torch.Tensor, "is_cuda", True, raising=False)
    for found, of_cpu in zip(gradients(), expected, strict=True):
        torch.testing.assert_close(found, of_cpu)


@pytest.fixture
def training(small_dataset: Path) -> Callable[..., Training]:
    """Makes the same training again, with the late check or without."""

    def made(late: bool, device: str = "cpu") -> Training:
        pairs, groups, relations, features, text = (small_dataset / name for name in NAMES)
        loader = LoaderConfig(queries=4)
        data = PairData(pairs, groups, features, text, relations, loader)
        config = RunConfig(
            source="synthetic",
            dataset="charades",
            sizes={"width": 16, "heads": 2, "dropout": 0.0, "feature_dropout": 0.0},
            loader=loader,
            train=TrainConfig(epochs=3, learning_rate=1e-2, gradients_every=0),
            device=device,
        )
        torch.manual_seed(0)
        network = build("mktn", "full", model_config(data, config.sizes))
        criterion = Criterion(LossConfig(), VARIANTS["full"])
        return Training(network, criterion, data, config, late=late)

    return made


def test_the_late_check_changes_no_training(training: Callable[..., Training]) -> None:
    early, late = training(False), training(True)
    early.fit()
    late.fit()
    assert late.progress.step == early.progress.step > 5
    for one, other in zip(early.parameters, late.parameters, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)  # a fused optimizer's order


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_nothing_is_updated_from_a_broken_step_on(
    what: str, training: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host hears of it three steps later here, and names the step that it was."""
    stood = training(True)
    late = stood.late
    assert late is not None
    hear = late.first_broken
    monkeypatch.setattr(
        late, "first_broken", lambda wait=False: hear() if stood.progress.step > 5 else None
    )
    before: dict[str, torch.Tensor] = {}

    def spoil() -> None:
        if stood.progress.step == 3 and not before:
            before.update({n: p.detach().clone() for n, p in stood.network.named_parameters()})
            if what == "loss":
                stood.criterion.config.__dict__["w_csm"] = float("nan")
            else:
                weight = next(iter(stood.network.parameters()))
                weight.register_hook(lambda gradient: gradient * float("inf"))

    with pytest.raises(UserError, match=f"the {what} is not finite; nothing was updated") as error:
        stood.fit(spoil)
    assert "step 3:" in str(error.value)
    assert stood.progress.step == 6
    for name, parameter in stood.network.named_parameters():
        assert torch.equal(parameter, before[name]), name


class Event:
    """A device's answer whether a step is done, which differs from process to process."""

    def __init__(self, done: bool) -> None:
        self.done = done

    def query(self) -> bool:
        return self.done

    def synchronize(self) -> None:
        self.done = True


def test_processes_hear_of_a_broken_step_at_the_same_one(
    training: Callable[..., Training],
) -> None:
    """Else one would account for it by exchanges while another goes on with other ones."""
    stood = training(True)
    batch = random_batch()

    def heard(done: bool, together: bool) -> int:
        """After how many steps a process whose device is fast, or slow, hears of the first."""
        late = LateCheck(stood.optimizer, stood.device, together)
        for number in range(1, 2 * MOST):
            terms = {"total": torch.tensor(float("nan"))}
            late.guard(Step(terms, torch.ones(()), batch, (0, number), 0.0))
            step, flag, _ = late._asked.pop()
            late._asked.append((step, flag, Event(done)))  # type: ignore[arg-type]
            if late.first_broken():
                return number
        return 0

    assert [heard(done, together=False) for done in (True, False)] == [1, MOST + 1]
    assert [heard(done, together=True) for done in (True, False)] == [MOST + 1, MOST + 1]
    both = LateCheck(stood.optimizer, stood.device, together=True)
    terms = {"total": torch.tensor(float("nan"))}
    both.guard(Step(terms, torch.ones(()), batch, (0, 0), 0.0))
    assert both.first_broken() is None
    assert both.first_broken(wait=True) is not None


def test_a_checkpoint_after_a_broken_step_is_no_matter_of_the_disk(
    training: Callable[..., Training], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stood = training(True)
    late = stood.late
    assert late is not None
    late.first_broken = lambda wait=False: None  # type: ignore[method-assign]
    checkpointer = Checkpointer(tmp_path, {}, 0.0, Interrupts())

    def between() -> None:
        if stood.progress.step == 3:
            del late.first_broken  # as where the device has come to it now
            checkpointer.between(stood)
        stood.criterion.config.__dict__["w_csm"] = float("nan")

    with pytest.raises(UserError, match="epoch 0, step 1: the loss is not finite"):
        stood.fit(between)
    assert stood.progress.step == 3  # and not one more
    assert "not saved" not in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_training_with_the_late_check_goes_on_to_the_same_bits(
    training: Callable[..., Training], tmp_path: Path
) -> None:
    whole, stopped = training(True), training(True)
    whole.fit()

    def stop() -> None:
        if stopped.progress.step == 4:
            tensors, values = stopped.state()
            write(tmp_path / "state", tensors, values)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped.fit(stop)
    again = training(True)
    again.restore(*read(tmp_path / "state"))
    assert again.optimizer.param_groups[0]["fused"]
    again.fit()
    for one, other in zip(whole.parameters, again.parameters, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("validating", [False, True])
def test_no_thread_is_left_where_a_training_stops(
    validating: bool, training: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that still reads while Python ends may bring the process down."""
    stood = training(False)
    stood.data.placed = Placed(None, ahead=True, said="")
    packed = stood.data.packed
    monkeypatch.setattr(stood.data, "packed", lambda *a, **k: 9 * packed(*a, **k))
    stood.steps *= 9

    def threads() -> int:
        return sum(thread.name == "read_ahead" for thread in threading.enumerate())

    def stop() -> None:
        if stood.network.training is not validating:
            assert threads() == 1
            raise Stopped("now", signal.SIGTERM)

    with pytest.raises(Stopped) as stopped:
        stood.fit(stop)
    assert stopped.value.__traceback__  # which holds what was under way
    assert threads() == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_sees_no_synchronisation_within_a_step(training: Callable[..., Training]) -> None:
    on_gpu = training(True, "cuda")
    assert "batches are composed there" in on_gpu.data.place(on_gpu.device)
    for number, batch in enumerate(on_gpu.first_batches(6)):
        if number >= 3:  # libraries have been set up
            torch.cuda.set_sync_debug_mode("error")
        try:
            on_gpu.step(batch)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert on_gpu.progress.step == 6
