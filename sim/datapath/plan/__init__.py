"""The Plan: steps, registers, jumps, and how they are fused into segments."""
