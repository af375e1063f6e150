//! Empty so far; see docs/graph.md.
