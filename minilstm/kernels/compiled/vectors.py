"""Vectors of numbers in registers, for loops that LLVM would not make of them by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types

LANES = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 8    # numbers of a vector
WORD, INDEX = ir.IntType(64), ir.IntType(32)
CONTRACT = ("contract",)


class Code:
    """Shorthands for LLVM instructions on numbers of the element type of the array type ``like``."""

    def __init__(self, builder: Any, like: Any) -> None:
        single = like.dtype is types.float32
        self.builder = builder
        self.number = ir.FloatType() if single else ir.DoubleType()
        self.size = 4 if single else 8

    def pointer(self, address: Any, offset: Any, kind: Any) -> Any:
        b = self.builder
        return b.inttoptr(b.add(address, b.mul(offset, WORD(self.size))), kind.as_pointer())

    def load(self, address: Any, offset: Any, kind: Any) -> Any:
        return self.builder.load(self.pointer(address, offset, kind), align=self.size)

    def store(self, x: Any, address: Any, offset: Any) -> None:
        self.builder.store(x, self.pointer(address, offset, x.type), align=self.size)

    def splat(self, x: Any, kind: Any) -> Any:
        first = self.builder.insert_element(ir.Constant(kind, ir.Undefined), x, INDEX(0))
        zeros = ir.Constant(ir.VectorType(INDEX, kind.count), [0] * kind.count)
        return self.builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)

    def sums(self, K: Any, shape: tuple[int, int], kind: Any,
             factors: Callable[[Any], tuple[list[Any], list[Any]]]) -> Any:
        """Return Σ_k left[r] right[v] for all pairs, given ``factors(k)`` -> (left, right); K >= 1."""
        b, entry = self.builder, self.builder.block
        loop, done = b.append_basic_block("sums"), b.append_basic_block("done")
        b.branch(loop)
        b.position_at_end(loop)
        k, total = b.phi(WORD), [[b.phi(kind) for _ in range(shape[1])] for _ in range(shape[0])]
        left, right = factors(k)
        new = [[b.fadd(b.fmul(x, y, flags=CONTRACT), before, flags=CONTRACT) for y, before in zip(right, row)]
               for x, row in zip(left, total)]
        following = b.add(k, WORD(1))
        k.add_incoming(WORD(0), entry)
        k.add_incoming(following, b.block)
        for before, after in zip(sum(total, []), sum(new, [])):
            before.add_incoming(ir.Constant(kind, [0.0] * kind.count), entry)
            before.add_incoming(after, b.block)
        b.cbranch(b.icmp_signed("<", following, K), loop, done)
        b.position_at_end(done)
        return new
