"""Trainer: the training loop, with everything that a long run needs.

The loop itself is the five lines of the README (zero_grad, forward, loss, backward, step). The Trainer adds
validation after each epoch, a history, progress bars, callbacks, a guard that stops at the first NaN before
it reaches a weight, and a folder on disk. A run that was interrupted at any step can be resumed from this
folder with the same results as without the interruption.
"""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from minilstm.backend.arrays import Array, to_floats
from minilstm.backend.checks import check_positive_int, is_number
from minilstm.backend.errors import ArgumentError, CheckpointError, NonFiniteError
from minilstm.backend.paths import as_path
from minilstm.layers.module import Module
from minilstm.layers.tree import restored_modes, zero_gradients
from minilstm.losses.metrics import accuracy_of, loss_weight, samples_of
from minilstm.optim.gradients import clip_grad_norm
from minilstm.optim.optimizer import Optimizer
from minilstm.optim.plateau import ReduceLROnPlateau
from minilstm.training import evaluation, run_folder, state
from minilstm.training.atomic_write import PathLike
from minilstm.training.batches import batches_of, check_data, describe_loader, unpack
from minilstm.training.callbacks import Callback
from minilstm.training.checkpoint import load_checkpoint
from minilstm.training.curves import curves
from minilstm.training.history import History
from minilstm.training.interrupt import Interrupted, InterruptGuard
from minilstm.training.nonfinite import QUIET, explain_parameters, explain_step
from minilstm.training.progress import say
from minilstm.training.run import Run


class Trainer(Run):
    """Train a model epoch by epoch, and record the results. It is the ``Run`` that callbacks receive.

    Args:
        model, criterion, optimizer: the model, its loss and the optimizer; any objects with the same methods
            work.
        scheduler: a learning-rate schedule, stepped after each epoch (ReduceLROnPlateau with the validation
            loss, or with the training loss if there is no validation data).
        clip_norm: rescale gradients whose total norm is larger than this; None: never.
        carry_state: begin each batch in the states in which the one before it ended, the first of an epoch
            and of an evaluation with zeros (truncated BPTT; see ``contiguous_batches``). The model is called
            with ``state0`` and ``return_state=True``, as recurrent layers and Sequential can be.
        callbacks: ``Callback`` objects, called in this order.
        metric: function (prediction, target) -> mean over the batch, logged as accuracy; None: no metric. The
            default is the accuracy that fits the loss: probabilities are thresholded at 0.5, logits at 0, and
            ignored targets are left out; MSELoss has none.
        run_dir: folder for config.json, history.csv, curves.png, last.ckpt and best.ckpt; None: nothing is
            written.
        config: your own JSON-able dict, stored in config.json and in the checkpoints. If a run is resumed
            with a new config, it replaces the old one; if none is given, the old one is kept.
        progress: show progress bars if the output is a terminal or a notebook.
        verbose: print a line after each epoch and a summary at the end.
        print_fn: function that prints these lines; None: print to standard output without breaking the bars.

    Attributes: those of a ``Run`` (history, epoch, step, stop and so on).

    >>> import numpy as np
    >>> import minilstm as ml
    >>> x = np.random.default_rng(0).standard_normal((32, 5, 2)).astype("float32")
    >>> y = (x[:, -1, :1] > 0).astype("float32")
    >>> model = ml.Sequential(ml.LSTM(2, 4, return_sequences=False, rng=0), ml.Linear(4, 1, rng=1))
    >>> optimizer = ml.Adam(model, lr=0.01)
    >>> trainer = ml.Trainer(model, ml.BCEWithLogitsLoss(), optimizer, progress=False, verbose=False)
    >>> history = trainer.fit(ml.DataLoader(x, y, batch_size=8, shuffle=True), epochs=2)
    >>> len(history), trainer.epoch
    (2, 2)
    >>> trainer.predict(x).shape
    (32, 1)
    """

    def __init__(self, model: Module, criterion: Any, optimizer: Any, *, scheduler: Any = None,
                 clip_norm: float | None = None, carry_state: bool = False,
                 callbacks: Iterable[Callback] = (),
                 metric: Callable[[Array, Array], Any] | Literal["accuracy"] | None = "accuracy",
                 run_dir: PathLike | None = None,
                 config: Mapping[str, Any] | None = None, progress: bool = True, verbose: bool = True,
                 print_fn: Callable[[str], Any] | None = None) -> None:
        if clip_norm is not None and (not is_number(clip_norm) or not 0 < clip_norm < math.inf):
            raise ArgumentError(f"clip_norm: expected None or a finite number above 0, got {clip_norm!r}")
        if isinstance(criterion, type) or not callable(criterion):
            raise ArgumentError(f"criterion: expected a loss object such as BCELoss(), got {criterion!r}")
        if metric is not None and metric != "accuracy" and not callable(metric):
            raise ArgumentError("metric: expected a function of (prediction, target), 'accuracy' or None, "
                                f"got {metric!r}")
        if not isinstance(callbacks, Iterable):
            raise ArgumentError(f"callbacks: expected a list of Callback objects, got {callbacks!r}")
        callbacks = list(callbacks)
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise ArgumentError(f"callbacks: expected Callback objects, got {callback!r}")
        if config is not None and not isinstance(config, Mapping):
            raise ArgumentError(f"config: expected a dict, got {config!r}")
        if getattr(optimizer, "model", model) is not model:
            raise ArgumentError("Trainer: the optimizer was made for another model; give both the whole "
                                "model, and set layer.frozen = True where a layer is not to learn")
        super().__init__(model, criterion, optimizer, scheduler,
                         metric=accuracy_of(criterion) if metric == "accuracy" else metric,
                         clip_norm=None if clip_norm is None else float(clip_norm),
                         carry_state=bool(carry_state), callbacks=callbacks, config=dict(config or {}))
        self.run_dir = None if run_dir is None else as_path("run_dir", run_dir)
        self.progress, self.verbose, self._say = progress, verbose, print_fn or say
        self._resumed = False                       # the state comes from a checkpoint
        self._recorded = False                      # run_dir belongs to this run
        self._guard = InterruptGuard()
        self._trainer_thread: int | None = None     # the thread that is inside fit

    # Training
    # --------------------------------------------------------------------------------------------------------

    def fit(self, train_loader: Any, val_loader: Any = None, epochs: int = 5, *,
            resume: bool = False) -> History:
        """Train until the run has ``epochs`` epochs in total, and return its history.

        Args:
            train_loader: iterable of batches (x, y) or (x, y, lengths), such as a DataLoader.
            val_loader: the same for validation, which follows each epoch in evaluation mode; None: no
                validation.
            epochs: total number of epochs of the run, including those already trained.
            resume: continue from ``run_dir``/last.ckpt.

        Training loss and accuracy are means over the samples of the epoch, measured during training, in
        training mode. A second call continues where the first one ended.

        On Ctrl-C, the current step is finished, last.ckpt is written, and Interrupted is raised (a
        KeyboardInterrupt with the attributes epoch and step). Raises NonFiniteError, without changing a
        weight, at the first loss or gradient that is not finite; ArgumentError if run_dir contains another
        run; CheckpointError if the run cannot be recorded or resumed.
        """
        epochs = check_positive_int("epochs", epochs)
        if self.carry_state and getattr(train_loader, "shuffle", False):
            raise ArgumentError("carry_state: the training loader shuffles its rows, but each batch must "
                                "continue the one before it; leave out shuffle=True")
        data = {"training": describe_loader(train_loader), "validation": describe_loader(val_loader)}
        if resume:
            self.resume(data=data)
        elif self.data is not None and (self._resumed or self.step):
            check_data(self.data, data)
        self.data, self.validates, self._resumed = data, val_loader is not None, False
        with self._only_thread("fit"), self._guard, restored_modes(self.model):
            try:
                self._call("on_train_begin")
                self._open_run()
                if self.epoch >= epochs:
                    self._tell(f"Nothing left to do: the run has {self.epoch} epochs, "
                               f"and {epochs} in all were asked for.")
                while self.epoch < epochs and not self.stop:
                    self._train_epoch(train_loader, val_loader, epochs)
                    self._stop_if_interrupted()
                self._call("on_train_end")
            except Interrupted:
                self._save(run_folder.LAST)
                self._draw()
                raise
        self._draw()
        if self.stop:
            self._tell(f"Stopped after epoch {self.epoch}: {self.stop}.")
        self._tell(self.history.verdict())
        return self.history

    def resume(self, path: PathLike | None = None, *, data: Mapping[str, Any] | None = None) -> Trainer:
        """Load the state in a checkpoint and return self.

        Args:
            path: a checkpoint, or a folder with a last.ckpt; None: ``run_dir``/last.ckpt.
            data: descriptions of the loaders to compare with those of the run; ``fit(resume=True)`` passes
                them.

        The state consists of weights, optimiser, schedule, callbacks, random states, history and position;
        ``fit`` then continues from there, given the same loaders. Hyperparameters of the optimiser are the
        run's; a warning names those that the new optimiser had otherwise. Raises CheckpointError, before
        anything changes, if the file is damaged or does not fit.
        """
        source = self.run_dir if path is None else as_path("resume", path)
        if source is None:
            raise ArgumentError("resume: give a checkpoint, or give the Trainer a run_dir")
        file = source / run_folder.LAST if path is None or os.path.isdir(source) else source
        settings = state.settings(self)
        state.restore(self, file, data)
        for name, now in state.settings(self).items():
            if settings.get(name) != now:
                warnings.warn(
                    f"{file}: the run continues with its own {name}, {now!r}, not with "
                    f"{settings.get(name)!r}; to change it, assign to trainer.optimizer after resume()",
                    stacklevel=2)
        self._resumed = True
        own = None if self.run_dir is None else os.path.realpath(self.run_dir)
        self._recorded = os.path.realpath(file.parent) == own
        if self._recorded and self.history.best is not None:
            try:
                load_checkpoint(file.parent / run_folder.BEST)
            except CheckpointError as error:
                best = self.history.best["epoch"]
                warnings.warn(f"{error}; the best epoch so far ({best}) is lost, and a better one will be "
                              "saved in its place", stacklevel=2)
        return self

    def _train_epoch(self, train_loader: Any, val_loader: Any, epochs: int) -> None:
        epoch = self.epoch + 1
        self.model.train()
        if self.step == 0:
            self.state = None
            self._call("on_epoch_begin", epoch)
        with evaluation.bar_for(train_loader, f"Epoch {epoch}/{epochs}", self.step, self.progress) as bar:
            for batch in batches_of(train_loader, self.epoch, self.step):
                loss, norm = self.train_step(*unpack(batch))
                bar.set_postfix_str(self._postfix(), refresh=False)
                self._call("on_step_end", epoch, self.step, loss, norm)
                bar.update()
                self._stop_if_interrupted()
        if not self.step:
            raise ArgumentError("fit: the training loader gave no batch")
        words = explain_parameters(self.model)
        if words is not None:       # the last update overflowed, and no later step detects it
            raise NonFiniteError(f"epoch {epoch}, step {self.step}: {words} after the update "
                                 f"(is the learning rate {self.optimizer.lr:g} too high?)")
        self._call("on_validation_begin")
        val_loss, val_acc = (None, None) if val_loader is None else self.evaluate(val_loader)
        loss_sum, score_sum, norm_sum, count = self.sums
        samples = max(count, 1)                     # 0 where every target was ignored
        train_acc = None if self.metric is None else score_sum / samples
        row = self.history.append(epoch=epoch, train_loss=loss_sum / samples, val_loss=val_loss,
                                  train_acc=train_acc, val_acc=val_acc,
                                  lr=self.optimizer.lr, grad_norm=norm_sum / self.step)
        self.epoch, self.step, self.sums = epoch, 0, [0.0, 0.0, 0.0, 0]
        self._tell(self.history.line(row))
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(row["train_loss"] if val_loss is None else val_loss)
        elif self.scheduler is not None:
            self.scheduler.step()
        self._call("on_epoch_end", row)
        if row is self.history.best:
            self._save(run_folder.BEST)
        self._call("on_validation_end")
        self._save(run_folder.LAST)

    def train_step(self, x: Array, y: Array, options: dict[str, Any]) -> tuple[float, float]:
        """Make one update of the weights, unless the loss or a gradient is not finite, and count the step.

        Returns the loss and the gradient norm. They come to the host together, before the update: the only
        time that a step waits for a device.
        """
        self.batch = x, y, options
        with np.errstate(**QUIET):
            modules = self.model.modules()
            zero_gradients(modules)
            for _, module in modules:       # forwards made before are not meant
                module._caches = []
            state = None
            if self.carry_state:
                prediction, state = self.model(x, state0=self.state, return_state=True, **options)
            else:
                prediction = self.model(x, **options)
            loss = self.criterion(prediction, y)
            self.model.backward(self.criterion.backward())
            score = 0.0 if self.metric is None else self.metric(prediction, y)
            max_norm = math.inf if self.clip_norm is None else self.clip_norm
            norm = clip_grad_norm(self.model, max_norm, modules=modules)
            samples = samples_of(self.criterion, y, len(x))
            if isinstance(samples, int):
                loss, score, norm = to_floats([loss, score, norm])
            else:
                loss, score, norm, samples = to_floats([loss, score, norm, samples])
            if not (math.isfinite(loss) and math.isfinite(norm)):
                words = explain_step(self.model, loss, x, y, options)
                self.model.drop_caches()
                self.model.zero_grad()
                raise NonFiniteError(f"epoch {self.epoch + 1}, step {self.step + 1}: {words}")
            if isinstance(self.optimizer, Optimizer):
                # no gradient exceeds the norm, and 1e18² is finite in float32
                self.optimizer.step(checked=min(norm, max_norm) < 1e18, modules=modules)
            else:
                self.optimizer.step()
        self.state = state
        weight = loss_weight(self.criterion, samples)
        self.sums = [self.sums[0] + loss * weight, self.sums[1] + score * samples, self.sums[2] + norm,
                     self.sums[3] + int(samples)]
        self.step += 1
        return loss, norm

    # Using the model
    # -------------------------------------------------------------------------------------------------

    def evaluate(self, loader: Any) -> tuple[float, float | None]:
        """Return (loss, accuracy) over the samples of ``loader`` in evaluation mode; the accuracy is None
        without a metric."""
        self._refuse_beside_fit("evaluate")
        return evaluation.evaluate(self.model, self.criterion, loader, self.metric, progress=self.progress,
                                   carry_state=self.carry_state, after_batch=self._stop_if_interrupted)

    def predict(self, x: Any, batch_size: int = 256, *, lengths: Any = None) -> Any:
        """Return the model's output for ``x`` (N, ...) as a host array (N, ...), computed in batches in
        evaluation mode."""
        self._refuse_beside_fit("predict")
        return evaluation.predict(self.model, x, batch_size, lengths=lengths)

    def _refuse_beside_fit(self, what: str) -> None:
        """Raise ArgumentError if another thread is training: the weights change under whoever uses them."""
        if self._trainer_thread not in (None, threading.get_ident()):
            raise ArgumentError(f"Trainer.{what}: another thread is training this model; wait until its fit "
                                "has returned, or give a copy of the model to another Trainer")

    @contextmanager
    def _only_thread(self, what: str) -> Iterator[None]:
        self._refuse_beside_fit(what)
        before, self._trainer_thread = self._trainer_thread, threading.get_ident()
        try:
            yield
        finally:
            self._trainer_thread = before

    # Small parts
    # -----------------------------------------------------------------------------------------------------

    def _call(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self, *args)

    def _tell(self, text: str) -> None:
        if self.verbose:
            self._say(text)

    def _postfix(self) -> str:
        loss, score, _, count = self.sums
        samples = max(count, 1)
        return f"loss={loss / samples:.4f}" + ("" if self.metric is None else f", acc={score / samples:.4f}")

    def _stop_if_interrupted(self) -> None:
        if self._guard.pending:
            raise Interrupted(self.epoch + 1, self.step, None if self.run_dir is None else str(self.run_dir))

    def _open_run(self) -> None:
        if self.run_dir is not None and self._recorded:
            run_folder.clean_run(self.run_dir)
            run_folder.update_config(self, self.run_dir)
        elif self.run_dir is not None:
            run_folder.create_run(self, self.run_dir)
            self._recorded = True
            self._save(run_folder.LAST)

    def _save(self, *names: str) -> None:
        if self.run_dir is not None and self._recorded:
            run_folder.save_run(self, self.run_dir, *names)

    def _draw(self) -> None:
        if self.run_dir is None or not len(self.history):
            return
        try:
            curves(self.history, self.run_dir / run_folder.CURVES)
        except ArgumentError as error:      # the numbers are in history.csv; the figure can be drawn later
            self._tell(f"No {run_folder.CURVES}: {error}")
