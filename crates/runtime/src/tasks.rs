//! Tasks with an owner.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A group of tasks that is waited for and cancelled as one. Clones share the group.
///
/// Dropping the last clone cancels nothing: the owner calls [`Tasks::cancel`] and [`Tasks::join`].
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Tasks {
    /// Starts a task on the current runtime. It ends by itself, or is dropped at its next await point after
    /// [`Tasks::cancel`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let token = self.token.clone();
        drop(self.tracker.spawn(async move {
            // None: the owner cancelled the task, and it has no result to lose.
            let _finished = token.run_until_cancelled(future).await;
        }));
    }

    /// Starts a task that [`Tasks::cancel`] does not drop: it learns of the end by other means and is only waited for.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn_uncancelled<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.tracker.spawn(future));
    }

    /// Asks all tasks to end: each is dropped at its next await point. Later tasks end at once.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Waits until every task has ended. Tasks may still be started meanwhile, and are waited for too.
    ///
    /// # Cancel safety
    /// Dropping the future stops only the waiting.
    pub async fn join(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// How many tasks have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether no task runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }
}
