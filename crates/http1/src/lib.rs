//! The HTTP/1.1 relay: heads, framing, Transport and the pump.
