//! One exchange: accept, admit, pick, connect, pump, settle.
