"""What gradcheck can be pointed at: pairs of functions, layers, and objects of any other class."""

from __future__ import annotations

from typing import Any

from minilstm.backend.errors import ArgumentError
from minilstm.gradients.targets.arguments import arrange
from minilstm.gradients.targets.failures import not_a_target
from minilstm.gradients.targets.layer import LayerTarget
from minilstm.gradients.targets.object import ObjectTarget
from minilstm.gradients.targets.pair import PairTarget
from minilstm.gradients.targets.target import Target
from minilstm.layers.module import Module


def make_target(target: Any, inputs: Any, options: dict[str, Any]) -> Target:
    """Return the Target for ``target``. Raises ArgumentError for something that cannot be checked."""
    if isinstance(target, type):
        raise ArgumentError(f"gradcheck: expected a layer, got the class {target.__name__}; make one first: "
                            f"{target.__name__}(...)")
    if isinstance(target, (tuple, list)):
        if len(target) == 2 and all(map(callable, target)):
            return PairTarget(target[0], target[1], inputs, options)
        parts = ", ".join(type(part).__name__ for part in target)
        raise not_a_target(target, f"a pair has two functions, this has {parts or 'nothing'}")
    has_forward, has_backward = callable(target) or hasattr(target, "forward"), hasattr(target, "backward")
    if has_backward and has_forward:
        return (LayerTarget if isinstance(target, Module) else ObjectTarget)(target, inputs, options)
    if callable(target) and not hasattr(target, "forward"):
        try:
            arrange(target, inputs, options)
        except ArgumentError as error:      # perhaps its backward was forgotten: the inputs are not to blame
            raise not_a_target(target, str(error)) from None
        return PairTarget(target, None, inputs, options)
    if has_forward:
        raise not_a_target(target, "it has forward but no backward")
    if has_backward:
        raise not_a_target(target, "it has backward but no forward")
    public = {name: value for name, value in vars(type(target)).items() if not name.startswith("_")}
    methods = [name for name, value in public.items() if callable(value)]
    raise not_a_target(target, "it has neither forward nor "
                               f"backward{', only ' * bool(methods)}{', '.join(methods)}")
