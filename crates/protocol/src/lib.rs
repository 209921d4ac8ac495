//! What crosses a process border: the shapes of the HTTP APIs, serde only.

pub mod chat;
pub mod pool;
