//! The life of a machine: start, ready, restart, stop.
