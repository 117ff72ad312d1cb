"""What the benchmarks share: interleaved rounds, and the other stores that ours is measured beside."""
