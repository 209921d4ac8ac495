//! Outlast: streams that outlast their connections.
fn main() {}
