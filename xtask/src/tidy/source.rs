//! Each Rust file by itself: lengths, heads, and what clippy has no ban for.

use std::path::Path;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Finding;

/// A function fits on a screen.
const FUNCTION_LINES_MAX: usize = 70;
/// A file that needs more has two reasons to change.
const FILE_LINES_MAX: usize = 500;
/// The only crates that speak to a terminal.
const MAY_PRINT: [&str; 3] = ["crates/outlast/", "xtask/", "crates/testkit/"];

pub(super) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let file = match syn::parse_file(text) {
        Ok(file) => file,
        Err(error) => {
            let line = error.span().start().line;
            return vec![Finding::new(path, line, format!("is not Rust: {error}"))];
        }
    };
    let mut visitor = Visitor { path, findings: Vec::new() };
    visitor.visit_file(&file);
    let mut findings = visitor.findings;
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        let what = format!("has {lines} lines, more than {FILE_LINES_MAX}; look for the seam");
        findings.push(Finding::new(path, 0, what));
    }
    if !text.starts_with("//!") {
        findings.push(Finding::new(path, 1, "begins without `//!`; say what it is for"));
    }
    for (index, line) in text.lines().enumerate() {
        let comment = line.trim_start().strip_prefix("// ").unwrap_or_default();
        if comment.ends_with(';') || comment.ends_with(" {") {
            let what = "looks like code in a comment; delete it";
            findings.push(Finding::new(path, index + 1, what));
        }
    }
    findings
}

struct Visitor<'a> {
    path: &'a Path,
    findings: Vec<Finding>,
}

impl Visitor<'_> {
    fn find(&mut self, span: Span, what: impl Into<String>) {
        self.findings.push(Finding::new(self.path, span.start().line, what));
    }

    fn function(&mut self, name: &syn::Ident, signature: Span, block: Span) {
        let lines = block.end().line - signature.start().line + 1;
        if lines > FUNCTION_LINES_MAX {
            let what =
                format!("`{name}` has {lines} lines, more than {FUNCTION_LINES_MAX}; split it");
            self.find(signature, what);
        }
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, item.sig.span(), item.block.span());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, item.sig.span(), item.block.span());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("ignore") {
            self.find(attribute.span(), "a test that is skipped checks nothing; mend or delete it");
        }
        if attribute.path().is_ident("allow") {
            let what = "use `#[expect(…, reason = \"…\")]`, which ends when its reason does";
            self.find(attribute.span(), what);
        }
        let is_bare_expect =
            attribute.path().is_ident("expect") && !tokens_of(attribute).contains("reason");
        if is_bare_expect {
            self.find(attribute.span(), "give the reason of this exception");
        }
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        let path = self.path.to_string_lossy();
        let may_print = MAY_PRINT.iter().any(|prefix| path.starts_with(prefix))
            || path.contains("/tests/")
            || path.contains("/benches/");
        let prints = ["print", "println", "eprint", "eprintln"];
        if !may_print && prints.iter().any(|name| item.path.is_ident(name)) {
            self.find(item.span(), "prints; only the binary speaks to the terminal: use tracing");
        }
        visit::visit_macro(self, item);
    }
}

fn tokens_of(attribute: &syn::Attribute) -> String {
    match &attribute.meta {
        syn::Meta::List(list) => list.tokens.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<(usize, String)> {
        let found = check(Path::new(path), text).into_iter();
        found.map(|finding| (finding.line, finding.what)).collect()
    }

    #[test]
    fn a_file_in_order_has_no_findings() {
        let text = "//! Head.\n#[expect(dead_code, reason = \"x\")]\nfn a() {\n    // Why so.\n    b();\n}\n";
        assert_eq!(findings("crates/a/src/lib.rs", text), []);
    }

    #[test]
    fn long_functions_and_files_are_found() {
        let body =
            |lines: usize| format!("//! Head.\nfn a() {{\n{}}}\n", "    b();\n".repeat(lines));
        assert_eq!(findings("a.rs", &body(68)), []);
        let long = findings("a.rs", &body(69));
        assert_eq!((long.len(), long[0].0), (1, 2));
        assert!(long[0].1.contains("71 lines"), "{}", long[0].1);
        let method = format!("//! Head.\nimpl A {{\n{}}}\n", &body(69)[10..]);
        assert_eq!(findings("a.rs", &method).len(), 1);
        let file = format!("//! Head.\n{}", "const A: u8 = 1;\n".repeat(FILE_LINES_MAX));
        assert_eq!(findings("a.rs", &file).len(), 1);
    }

    #[test]
    fn exceptions_need_their_form() {
        for (line, part) in [
            ("#[ignore] fn a() {}", "skipped"),
            ("#[allow(dead_code)] fn a() {}", "expect"),
            ("#[expect(dead_code)] fn a() {}", "reason"),
            ("fn a() { println!(\"\"); }", "prints"),
            ("// let a = 1;", "comment"),
            ("fn a( {}", "not Rust"),
        ] {
            let found = findings("crates/a/src/lib.rs", &format!("//! Head.\n{line}\n"));
            assert_eq!((found.len(), found[0].0), (1, 2), "{line}: {found:?}");
            assert!(found[0].1.contains(part), "{line}: {found:?}");
        }
        assert_eq!(findings("xtask/src/a.rs", "//! Head.\nfn a() { println!(\"\"); }\n"), []);
        assert_eq!(findings("a.rs", "fn a() {}\n").len(), 1, "no head");
    }
}
