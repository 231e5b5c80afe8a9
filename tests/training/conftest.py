"""What the tests of training share."""

from __future__ import annotations

from typing import Any

import pytest
from training_cases import callbacks, everything, files, loaders, trainer

from minilstm.training import trainer as training


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Drawing takes longer than training here, so most tests only see that it was asked for."""
    if "picture" not in request.node.name:
        monkeypatch.setattr(training, "curves", lambda history, path: path.write_bytes(b"drawn"))


@pytest.fixture(scope="module")
def whole(on_backend: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The run that was never interrupted: its state and its files."""
    folder = tmp_path_factory.mktemp("run") / "whole"
    t = trainer(folder, callbacks=callbacks(), config={"name": "ü"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "curves", lambda history, path: None)
        t.fit(*loaders(), epochs=3)
    return everything(t), files(folder)
