//! Exchange records, outcomes, metrics and snapshots.
