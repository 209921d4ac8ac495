//! The life of a machine that is a process tree on this host.

use std::sync::Arc;

use outlast_runtime::Tasks;
use tokio::sync::{mpsc, watch};

use crate::record::Record;
use crate::supervisor::{Wish, unwanted};
use crate::{Change, LocalSpec, LogLine};

pub(crate) struct Life {
    record: Arc<Record>,
}

impl Life {
    pub(crate) fn new(
        _spec: LocalSpec,
        record: Arc<Record>,
        _lines: mpsc::Sender<LogLine>,
        _tasks: Tasks,
    ) -> Self {
        Self { record }
    }

    pub(crate) async fn run(self, mut wished: watch::Receiver<Wish>) {
        self.record.tell(Change::StartFailed("local machines cannot be started yet".to_owned()));
        unwanted(&mut wished).await;
    }
}
