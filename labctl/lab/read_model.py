"""From a file's tree to its model, as far as it can be read: what is wrong is noted and taken out, so that the rest is still judged.

That is how all faults of a file come in one run. What something was taken from is remembered as damaged: rules about what it lacks
would speak falsely there.
"""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from labctl.lab.explain import explain_all, without_shadows
from labctl.lab.faults import Faults
from labctl.lab.tree import Path, Tree

Model = TypeVar("Model", bound=BaseModel)
ROUNDS = 12  # each takes at least one thing out of the place before, so this many levels can fall


def read_model(model: type[Model], faults: Faults, stand_ins: dict[str, Tree]) -> Model | None:
    """The model of what is left of the tree; None where nothing sensible is. `stand_ins` replace top keys that are missing or wrong."""
    for number in range(ROUNDS):
        try:
            return model.model_validate(faults.tree.data())
        except ValidationError as error:
            errors = without_shadows(list(error.errors(include_url=False)))
        if number == 0:
            explain_all(errors, model, faults)
        found = {faults.tree.found(tuple(one["loc"])) for one in errors}
        for path in sorted(found, key=_order, reverse=True):  # so that no index moves before its turn
            _take_out(faults.tree, path)
        _stand_in(faults.tree, stand_ins)
    return None


def _order(path: Path) -> list[tuple[int, str]]:
    return [(step, "") if isinstance(step, int) else (0, step) for step in path]


def _take_out(tree: Tree, found: Path) -> None:
    for length in range(1, len(found)):
        tree.at(found[:length]).damaged = True
    tree.remove(found)


def _stand_in(tree: Tree, stand_ins: dict[str, Tree]) -> None:
    assert isinstance(tree.value, dict)
    for key, value in stand_ins.items():
        tree.value.setdefault(key, value)
        tree.keys.setdefault(key, (tree.line, tree.column))
