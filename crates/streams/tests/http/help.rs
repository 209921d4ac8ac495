//! A server on a port of its own, and clients whose every byte is known.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use outlast_runtime::{Phases, Tasks};
use outlast_streams::http::{Settings, Streams};
use outlast_streams::{
    AppendError, AppendOrder, Appended, Chunk, CreateError, CreateOrder, Created, DeleteError,
    Deletion, Info, Limits, Memory, Missing, ReadError, ReadFrom, Store, StreamName, Watch,
};
use outlast_testkit::Wire;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) const SETTINGS: Settings = Settings {
    append_bytes_max: 1024 * 1024,
    readers_max: 2_000,
    poll_timeout: Duration::from_secs(20),
    events_lifetime: Duration::from_secs(60),
};

pub(crate) const TEXT: (&str, &str) = ("Content-Type", "text/plain");
pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A store that tells how often it was read.
#[derive(Debug)]
struct Counted {
    store: Memory,
    reads: watch::Sender<usize>,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) phases: Phases,
    /// For what has to happen while the server does nothing.
    pub(crate) store: Arc<dyn Store>,
    reads: watch::Receiver<usize>,
    _tasks: Tasks,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn next_offset(&self) -> String {
        self.field("stream-next-offset").unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }

    /// The reason of an error.
    pub(crate) fn error(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        body["error"].as_str().unwrap().to_owned()
    }
}

impl Server {
    pub(crate) async fn start(settings: Settings) -> Self {
        let (sender, reads) = watch::channel(0);
        let store: Arc<dyn Store> =
            Arc::new(Counted { store: Memory::new(Limits::default()), reads: sender });
        let (phases, tasks) = (Phases::default(), Tasks::default());
        let router = Streams::new(store.clone(), settings, &phases, &tasks).router();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, phases, store, reads, _tasks: tasks }
    }

    /// Waits until the store was read so often by now. What reads has watched before.
    pub(crate) async fn was_read(&self, count: usize) {
        self.reads.clone().wait_for(|reads| *reads >= count).await.unwrap();
    }

    /// How often the store was read.
    pub(crate) fn reads(&self) -> usize {
        *self.reads.borrow()
    }

    /// Sends a request, of which the end of the connection is the end.
    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> Wire {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in fields {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()));
        let mut wire = Wire::connect(self.address).await;
        wire.send(text + body).await;
        wire
    }

    /// Asks for something at `/v1/stream/` and waits for the whole answer.
    pub(crate) async fn ask(
        &self,
        method: &str,
        name: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut wire = self.send(method, &format!("/v1/stream/{name}"), fields, body).await;
        Answer::parse(&wire.read_to_end().await.unwrap())
    }

    /// Creates a stream with this content.
    pub(crate) async fn create(
        &self,
        name: &str,
        content_type: (&str, &str),
        body: &str,
    ) -> Answer {
        let answer = self.ask("PUT", name, &[content_type], body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer
    }

    /// Appends.
    pub(crate) async fn append(
        &self,
        name: &str,
        content_type: (&str, &str),
        body: &str,
    ) -> Answer {
        let answer = self.ask("POST", name, &[content_type], body).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        answer
    }

    /// Closes.
    pub(crate) async fn close(&self, name: &str) -> Answer {
        let answer = self.ask("POST", name, &[("Stream-Closed", "true")], "").await;
        assert_eq!(answer.status, 204, "{answer:?}");
        answer
    }
}

impl Store for Counted {
    fn create<'a>(
        &'a self,
        name: &'a StreamName,
        order: CreateOrder,
    ) -> BoxFuture<'a, Result<Created, CreateError>> {
        self.store.create(name, order)
    }

    fn append<'a>(
        &'a self,
        name: &'a StreamName,
        order: AppendOrder,
    ) -> BoxFuture<'a, Result<Appended, AppendError>> {
        self.store.append(name, order)
    }

    fn read<'a>(
        &'a self,
        name: &'a StreamName,
        from: ReadFrom,
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Chunk, ReadError>> {
        async move {
            let read = self.store.read(name, from, bytes_max).await;
            self.reads.send_modify(|reads| *reads += 1);
            read
        }
        .boxed()
    }

    fn watch(&self, name: &StreamName) -> Result<Watch, Missing> {
        self.store.watch(name)
    }

    fn head(&self, name: &StreamName) -> Result<Info, Missing> {
        self.store.head(name)
    }

    fn delete<'a>(
        &'a self,
        name: &'a StreamName,
        deletion: Deletion,
    ) -> BoxFuture<'a, Result<(), DeleteError>> {
        self.store.delete(name, deletion)
    }

    fn list(&self, after: Option<&StreamName>, count_max: usize) -> Vec<Info> {
        self.store.list(after, count_max)
    }
}
