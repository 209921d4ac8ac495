//! Languages by file name.

/// Extensions in lower case, and names of whole files.
const TABLE: &[(&str, &[&str])] = &[
    ("C", &["c", "h"]),
    ("C#", &["cs"]),
    ("C++", &["cc", "cpp", "cxx", "hpp", "hh"]),
    ("CSS", &["css", "scss", "sass", "less"]),
    ("Dart", &["dart"]),
    ("Dockerfile", &["dockerfile"]),
    ("Elixir", &["ex", "exs"]),
    ("Erlang", &["erl"]),
    ("Go", &["go"]),
    ("GraphQL", &["graphql"]),
    ("HTML", &["html", "htm"]),
    ("Haskell", &["hs"]),
    ("JSON", &["json", "jsonl", "ndjson"]),
    ("Java", &["java"]),
    ("JavaScript", &["js", "mjs", "cjs", "jsx"]),
    ("Kotlin", &["kt", "kts"]),
    ("Lua", &["lua"]),
    ("Makefile", &["makefile", "mk"]),
    ("Markdown", &["md", "mdx", "markdown"]),
    ("Nix", &["nix"]),
    ("OCaml", &["ml", "mli"]),
    ("PHP", &["php"]),
    ("Perl", &["pl", "pm"]),
    ("Protocol Buffers", &["proto"]),
    ("Python", &["py", "pyi"]),
    ("R", &["r"]),
    ("Ruby", &["rb"]),
    ("Rust", &["rs"]),
    ("SQL", &["sql"]),
    ("SVG", &["svg"]),
    ("Scala", &["scala"]),
    ("Shell", &["sh", "bash", "zsh", "fish"]),
    ("Svelte", &["svelte"]),
    ("Swift", &["swift"]),
    ("TOML", &["toml"]),
    ("Terraform", &["tf"]),
    ("Text", &["txt"]),
    ("TypeScript", &["ts", "tsx", "mts", "cts"]),
    ("Vue", &["vue"]),
    ("XML", &["xml"]),
    ("YAML", &["yaml", "yml"]),
    ("Zig", &["zig"]),
];

/// What a file of this name is written in; `Other` if the name does not tell.
pub(super) fn of(name: &str) -> &'static str {
    let lower = name.to_ascii_lowercase();
    let key = match lower.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => extension,
        _ => &lower,
    };
    let found = TABLE.iter().find(|(_, keys)| keys.contains(&key));
    found.map_or("Other", |(language, _)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_languages() {
        for (name, language) in [
            ("main.rs", "Rust"),
            ("A.TSX", "TypeScript"),
            ("Dockerfile", "Dockerfile"),
            ("Makefile", "Makefile"),
            (".gitignore", "Other"),
            (".rs", "Other"),
            ("LICENSE", "Other"),
            ("archive.tar.gz", "Other"),
        ] {
            assert_eq!(of(name), language, "{name}");
        }
    }
}
