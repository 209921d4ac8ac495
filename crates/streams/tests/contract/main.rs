//! What every store does, whatever it keeps streams in.

mod appends;
mod forks;
mod help;
mod lives;
mod reads;

use outlast_streams::{Memory, Segments, Settings};
use tempfile::TempDir;

use self::help::limits;

/// The cases, as tests of one kind of store.
macro_rules! contract {
    ($kind:ident, $store:expr, [$($module:ident :: $case:ident),* $(,)?]) => {
        mod $kind {
            use super::*;

            $(
                #[tokio::test(start_paused = true)]
                async fn $case() {
                    let (_folder, store) = $store;
                    $module::$case(&store).await;
                }
            )*
        }
    };
}

macro_rules! all_cases {
    ($kind:ident, $store:expr) => {
        contract!(
            $kind,
            $store,
            [
                appends::what_is_appended_is_read_with_its_offsets,
                appends::an_append_is_refused_in_the_order_of_the_checks,
                appends::a_producer_that_sends_twice_appends_once,
                appends::a_closed_stream_tells_why_and_takes_nothing,
                appends::the_append_that_closed_a_stream_may_be_sent_again,
                appends::sequences_only_grow,
                appends::too_much_is_refused_and_nothing_is_lost,
                reads::messages_are_never_cut_and_bytes_anywhere,
                reads::offsets_of_others_are_refused,
                reads::a_watch_tells_of_appends_the_end_and_deletion,
                reads::a_thousand_watchers_see_the_same,
                lives::creating_again_is_no_error_if_nothing_differs,
                lives::there_are_as_many_streams_as_there_may_be,
                lives::a_stream_lives_as_long_as_it_is_used,
                lives::a_name_is_free_after_deletion_and_its_offsets_are_not,
                lives::streams_are_listed_by_name,
                forks::a_fork_has_its_sources_offsets_up_to_where_it_leaves,
                forks::a_fork_begins_within_a_batch,
                forks::a_forks_order_is_checked,
                forks::a_source_is_kept_for_its_forks,
                forks::forks_of_forks_read_through,
            ]
        );
    };
}

all_cases!(memory, ((), Memory::new(limits())));
all_cases!(segments, segments());

/// A store in a folder that goes with the value.
fn segments() -> (TempDir, Segments) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings { limits: limits(), ..Settings::default() };
    let store = Segments::open(folder.path(), settings).expect("an empty folder");
    (folder, store)
}
