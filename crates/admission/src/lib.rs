//! Permits, levels and the bounded fair queue.
