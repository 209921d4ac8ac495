//! The embedded web page: a few files, served from memory.
//!
//! It needs no Node to build and loads nothing from elsewhere, which [`CONTENT_SECURITY_POLICY`] enforces.

/// What the page may do: its own files, its own origin, no inline script, in nobody's frame.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One file of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// The path it is served at.
    pub path: &'static str,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// Its bytes.
    pub body: &'static str,
}

const ASSETS: &[Asset] = &[
    Asset {
        path: "/",
        content_type: "text/html; charset=utf-8",
        body: include_str!("../assets/index.html"),
    },
    Asset {
        path: "/app.js",
        content_type: "text/javascript; charset=utf-8",
        body: include_str!("../assets/app.js"),
    },
    Asset {
        path: "/app.css",
        content_type: "text/css; charset=utf-8",
        body: include_str!("../assets/app.css"),
    },
    Asset {
        path: "/favicon.svg",
        content_type: "image/svg+xml",
        body: include_str!("../assets/favicon.svg"),
    },
];

/// Every file of the page, `/` first.
#[must_use]
pub fn assets() -> &'static [Asset] {
    ASSETS
}

/// The page for someone who is not let in. `detail` says what to do, as text with code between backticks.
#[must_use]
pub fn denied(heading: &str, detail: &str) -> String {
    let mut marked = String::with_capacity(detail.len());
    let mut rest = detail;
    while let Some((before, code, after)) = next_code(rest) {
        marked.push_str(&escaped(before));
        marked.push_str("<code>");
        marked.push_str(&escaped(code));
        marked.push_str("</code>");
        rest = after;
    }
    marked.push_str(&escaped(rest));
    include_str!("../assets/denied.html")
        .replace("{heading}", &escaped(heading))
        .replace("{detail}", &marked)
}

/// What is before the first pair of backticks, between them, and behind.
fn next_code(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('`')?;
    let (code, after) = rest.split_once('`')?;
    Some((before, code, after))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_a_stranger_stays_text() {
        let page = denied("Not let in", "<b>\"a\" & b</b>");
        assert!(page.contains("&lt;b&gt;&quot;a&quot; &amp; b&lt;/b&gt;"), "{page}");
    }

    #[test]
    fn code_is_marked_and_a_lone_backtick_stays() {
        let page = denied("Not logged in", "open `outlast <up>`, or `a");
        assert!(page.contains("<h2>Not logged in</h2>"), "{page}");
        assert!(page.contains("<p>open <code>outlast &lt;up&gt;</code>, or `a</p>"), "{page}");
    }

    #[test]
    fn the_page_asks_only_for_files_that_exist() {
        let index = ASSETS[0].body;
        let wanted = index.split(['"']).filter(|text| text.starts_with('/'));
        let mut count = 0;
        for path in wanted {
            assert!(ASSETS.iter().any(|asset| asset.path == path), "{path} does not exist");
            count += 1;
        }
        assert!(count >= 3, "it asks for its script, its style and its icon");
    }

    #[test]
    fn the_page_has_nothing_inline_that_its_policy_forbids() {
        let index = ASSETS[0].body;
        for forbidden in ["<style", "style=", "onclick", "javascript:", "<script>"] {
            assert!(!index.contains(forbidden), "{forbidden}");
        }
        assert!(!ASSETS[1].body.contains("innerHTML"), "text stays text");
    }
}
