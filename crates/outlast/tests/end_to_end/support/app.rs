//! An app that answers every request in the same way, on a thread of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use outlast_runtime::{Tasks, Workers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// It runs until the test ends.
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    _thread: Workers,
}

impl App {
    /// Answers each GET with `answer`, and nothing else. A connection that the gateway closes is reset, so that thousands leave no traces
    /// in the kernel.
    pub(crate) fn start(answer: impl Into<Vec<u8>>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (listener, answer) = (Arc::new(listener), Arc::<[u8]>::from(answer.into()));
        let serve = move |_index| {
            let (listener, answer) = (listener.try_clone().unwrap(), Arc::clone(&answer));
            async move {
                let listener = TcpListener::from_std(listener).unwrap();
                let tasks = Tasks::default();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    tasks.spawn(answer_each(stream, Arc::clone(&answer)));
                }
            }
        };
        Self { address, _thread: Workers::start("app", 1, serve).unwrap() }
    }
}

async fn answer_each(mut stream: TcpStream, answer: Arc<[u8]>) {
    let mut request = Vec::new();
    stream.set_zero_linger().unwrap();
    while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
        if request.starts_with(b"GET ") && request.ends_with(b"\r\n\r\n") {
            request.clear();
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}
