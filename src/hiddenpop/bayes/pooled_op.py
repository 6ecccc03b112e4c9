"""The density of a pooled model as an operation of PyTensor, with the gradient that it brings along."""

from typing import Any

import numpy as np
from pytensor import tensor
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

from hiddenpop.kernels.bayes.pooled_density import packed_density
from hiddenpop.kernels.compiled import source_digest

__all__ = ["PooledDensity"]


class PooledDensity(Op):
    """Log density of the parameters, its gradient, and what is kept of a draw.

    Parameters
    ----------
    n_kept : int
        Numbers that are kept of a draw.
    """

    __props__ = ("n_kept",)

    def __init__(self, n_kept: int) -> None:
        self.n_kept = n_kept

    def make_node(self, *inputs: Any) -> Any:
        """Take the parameters and the vector of `packed`."""
        symbols = [tensor.as_tensor_variable(value) for value in inputs]
        shapes = [symbols[0].type.shape, (self.n_kept,)]
        return Apply(self, symbols, [tensor.dscalar(), *(tensor.vector(shape=shape) for shape in shapes)])

    def perform(self, node: Any, inputs: Any, output_storage: Any) -> None:
        """Compute where PyTensor does not compile."""
        found, n = packed_density(*inputs), len(inputs[0])
        for storage, value in zip(
            output_storage, (np.asarray(found[0]), found[1 : 1 + n], found[1 + n :]), strict=True
        ):
            storage[0] = value

    def connection_pattern(self, node: Any) -> list[list[bool]]:
        """Say that only the density has a derivative, and only in the parameters."""
        return [[True, False, False], [False] * 3]

    def L_op(self, inputs: Any, outputs: Any, output_gradients: Any) -> list[Any]:  # noqa: N802
        """Give the gradient that was computed with the density."""
        return [output_gradients[0] * outputs[1], DisconnectedType()()]


@register_funcify_default_op_cache_key(PooledDensity)  # type: ignore[untyped-decorator, no-untyped-call]
def _funcified(op: Any, **kwargs: Any) -> Any:
    """Give the compiled operation, and a number for the state of its source, by which PyTensor keeps it."""

    @numba_njit
    def pooled_density(x, data):  # type: ignore[no-untyped-def]
        found = packed_density(x, data)
        n = x.size
        return np.asarray(found[0]), found[1 : 1 + n], found[1 + n :]

    return pooled_density, int(source_digest(packed_density.__module__), base=16)
