//! Streams outlive the desktop that wrote them, however it ends.

use rustix::process::Signal;

use crate::support::{Outlast, get, request};

const STREAM: &str = "/v1/stream/a";
const TEXT: (&str, &str) = ("Content-Type", "text/plain");

#[tokio::test]
async fn what_was_answered_is_there_after_any_end() {
    let mut outlast = Outlast::serve(&[], &["--no-auth"]).await;
    request(outlast.gateway, "PUT", STREAM, &[TEXT], "first ").await.unwrap();
    for (round, signal) in [Signal::TERM, Signal::KILL, Signal::KILL].into_iter().enumerate() {
        let (status, before) = get(outlast.gateway, STREAM, &[]).await;
        assert_eq!(status, 200);
        let head = request(outlast.gateway, "HEAD", STREAM, &[], "").await.unwrap();
        let offset = head.field("stream-next-offset").unwrap().to_owned();
        let fields = [
            TEXT,
            ("Producer-Id", "p"),
            ("Producer-Epoch", "0"),
            ("Producer-Seq", &round.to_string()),
        ];
        let text = format!("{round} ");
        let appended = request(outlast.gateway, "POST", STREAM, &fields, &text).await.unwrap();
        assert_eq!(appended.status, 200);
        outlast.signal(signal);
        outlast.ended().await;

        outlast = Outlast::serve_in(outlast.folder, &["--no-auth"]).await;
        let (_, all) = get(outlast.gateway, STREAM, &[]).await;
        assert_eq!(all, before + &text, "after {signal:?}");
        let (status, rest) = get(outlast.gateway, &format!("{STREAM}?offset={offset}"), &[]).await;
        assert_eq!((status, rest), (200, text.clone()), "an offset holds across {signal:?}");
        let again = request(outlast.gateway, "POST", STREAM, &fields, &text).await.unwrap();
        assert_eq!(again.status, 204, "who sends again appends once, across {signal:?}");
    }
}
