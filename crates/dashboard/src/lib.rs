//! The admin listener: pool, exchanges, metrics and health.
