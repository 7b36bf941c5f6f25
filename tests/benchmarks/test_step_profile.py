# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What the profile of a step reads, and how it takes times apart."""
from benchmarks.performance import step_profile

PROGRAM = """
ENTRY %main (x: f32[3,5], w: f32[5,7]) -> f32[3,7] {
  %x = f32[3,5]{1,0} parameter(0)
  %w = f32[5,7]{1,0} parameter(1)
  %y.1 = f32[3,7]{1,0} dot(%x, %w), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  %pair = (f32[3,7]{1,0}, f32[3,7]{1,0}) tuple(%y.1, %y.1)
  ROOT %tanh_fusion = f32[3,7]{1,0} fusion(%y.1), kind=kLoop, calls=%fused
}
"""


def test_operations_and_bytes_of_kernels():
    parsed = step_profile.kernels(PROGRAM)
    assert "pair" not in parsed
    assert parsed["y.1"] == ("dot 3x5, 5x7 -> 3x7", 2 * 3 * 5 * 7, 4 * (15 + 35 + 21))
    assert parsed["y.1"].is_product
    assert parsed["tanh_fusion"] == ("fusion 3x7 -> 3x7", 0, 4 * 42)


def test_a_loop_does_not_count_the_calls_inside_it():
    def call(name, start, length):
        return step_profile._Call("module", name, start, length, None)

    calls = [call("loop", 0, 100), call("a", 10, 20), call("inner", 12, 5), call("b", 40, 50),
             call("after", 100, 7)]
    assert [(each.name, own) for each, own in step_profile._own_times(calls)] == [
        ("loop", 30), ("a", 15), ("inner", 5), ("b", 50), ("after", 7)]
