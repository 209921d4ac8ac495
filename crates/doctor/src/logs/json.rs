//! Objects of JSON, walked once and copied nowhere: a log of a gigabyte has millions, and a tree of each would cost more
//! than all that is asked of it.

use memchr::memchr2;

/// How deep objects may lie in each other. Fly's are five deep.
const DEPTH_MAX: usize = 16;

/// A value that is no object and no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scalar<'a> {
    /// A string without its quotation marks and with its escapes, or the bare text.
    pub(super) text: &'a [u8],
}

/// Why something is no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotJson {
    /// It ends too early, and is one so far.
    Cut,
    /// It is none.
    Other,
}

/// Walks the object that `text` begins with, tells each scalar with its name and the name of the object around it, and
/// gives back where the object ends. Names are as they are written, escapes included. It takes some texts for JSON that are not.
pub(super) fn walk<'a>(
    text: &'a [u8],
    mut each: impl FnMut(&'a [u8], &'a [u8], Scalar<'a>),
) -> Result<usize, NotJson> {
    let mut walker = Walker { text, at: 0 };
    // What is open: the name that leads to it, and what it is.
    let mut open: [(&[u8], u8); DEPTH_MAX] = [(b"", b'{'); DEPTH_MAX];
    let mut depth = 0;
    walker.take(b'{')?;
    let mut is_first = true;
    loop {
        let (outer, kind) = open[depth];
        let close = if kind == b'{' { b'}' } else { b']' };
        let next = walker.peek()?;
        if next == close {
            walker.at += 1;
            if depth == 0 {
                return Ok(walker.at);
            }
            (depth, is_first) = (depth - 1, false);
            continue;
        }
        if !is_first {
            walker.take(b',')?;
        }
        let name = if kind == b'{' {
            let name = walker.string()?;
            walker.take(b':')?;
            name
        } else {
            outer
        };
        is_first = false;
        match walker.peek()? {
            next @ (b'{' | b'[') => {
                walker.at += 1;
                depth += 1;
                *open.get_mut(depth).ok_or(NotJson::Other)? = (name, next);
                is_first = true;
            }
            b'"' => each(outer, name, Scalar { text: walker.string()? }),
            _ => each(outer, name, Scalar { text: walker.bare()? }),
        }
    }
}

/// Where the first object of a page's list begins, if that is what this is: `{"data":[`, or a list alone.
pub(super) fn page(text: &[u8]) -> Option<usize> {
    let mut walker = Walker { text, at: 0 };
    if walker.take(b'{').is_ok() {
        let is_page = walker.string() == Ok(b"data") && walker.take(b':').is_ok();
        if !is_page {
            return None;
        }
    }
    walker.take(b'[').ok()?;
    let is_list = matches!(walker.peek(), Ok(b'{') | Err(NotJson::Cut));
    is_list.then_some(walker.at)
}

/// Where the next object of a list begins, behind a comma. `None`: it ends.
pub(super) fn next(text: &[u8], from: usize) -> Option<usize> {
    let mut walker = Walker { text, at: from };
    let _ = walker.take(b',');
    (walker.peek() == Ok(b'{')).then_some(walker.at)
}

struct Walker<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Walker<'a> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Result<u8, NotJson> {
        loop {
            match self.text.get(self.at) {
                None => return Err(NotJson::Cut),
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(*byte),
            }
        }
    }

    fn take(&mut self, wanted: u8) -> Result<(), NotJson> {
        if self.peek()? != wanted {
            return Err(NotJson::Other);
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<&'a [u8], NotJson> {
        self.take(b'"')?;
        let begin = self.at;
        loop {
            let at = self.at + memchr2(b'"', b'\\', &self.text[self.at..]).ok_or(NotJson::Cut)?;
            if self.text[at] == b'"' {
                self.at = at + 1;
                return Ok(&self.text[begin..at]);
            }
            self.at = at + 2;
            if self.at > self.text.len() {
                return Err(NotJson::Cut);
            }
        }
    }

    /// A number, `true`, `false` or `null`.
    fn bare(&mut self) -> Result<&'a [u8], NotJson> {
        let rest = &self.text[self.at..];
        let is_bare =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let length = rest.iter().position(|byte| !is_bare(byte)).ok_or(NotJson::Cut)?;
        self.at += length;
        if length == 0 { Err(NotJson::Other) } else { Ok(&rest[..length]) }
    }
}

/// Writes what a string stands for (RFC 8259 section 7). Half of a pair of surrogates becomes U+FFFD.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let Some(byte) = rest.get(at + 1) else { return };
        rest = &rest[at + 2..];
        match byte {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' | b'f' => out.push(b' '),
            b'u' => {
                let (character, length) = unit(rest);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[length..];
            }
            other => out.push(*other),
        }
    }
    out.extend_from_slice(rest);
}

/// The character behind `\u`, and how many bytes it takes with its second half.
fn unit(text: &[u8]) -> (char, usize) {
    let hex = |text: &[u8]| {
        let digits = std::str::from_utf8(text.first_chunk::<4>()?).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    let lost = char::REPLACEMENT_CHARACTER;
    let Some(first) = hex(text) else { return (lost, 0) };
    let second = text[4..].strip_prefix(b"\\u").and_then(hex);
    let pair = [first, second.unwrap_or(0)];
    match char::decode_utf16(pair).next() {
        Some(Ok(character)) if character.len_utf16() == 2 => (character, 10),
        Some(Ok(character)) => (character, 4),
        _ => (lost, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> (Vec<String>, Result<usize, NotJson>) {
        let mut seen = Vec::new();
        let end = walk(text.as_bytes(), |outer, name, value| {
            let text = [outer, b".", name, b"=", value.text].concat();
            seen.push(String::from_utf8(text).expect("text"));
        });
        (seen, end)
    }

    #[test]
    fn each_value_is_told_with_its_name_and_what_is_around_it() {
        let text =
            r#"{"a" : {"b":"x\"}y", "c":[1,{"d":null}, "e"]},"f":-1.5e3, "g":{},"h":[]} rest"#;
        let (seen, end) = told(text);
        assert_eq!(seen, [r#"a.b=x\"}y"#, "c.c=1", "c.d=null", "c.c=e", ".f=-1.5e3"]);
        assert_eq!(end, Ok(text.len() - " rest".len()));
        assert_eq!(told("{}"), (vec![], Ok(2)));
    }

    #[test]
    fn what_is_cut_is_told_from_what_is_no_json() {
        let text = r#"{"a":{"b":"x\\","c":[1,true]}}"#;
        for end in 0..text.len() {
            assert_eq!(told(&text[..end]).1, Err(NotJson::Cut), "{}", &text[..end]);
        }
        let deep = "{\"a\":".repeat(DEPTH_MAX + 1);
        for other in
            ["{a}", "[1]", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{\"a\":,}", "{\"a\":[1}", &deep]
        {
            assert_eq!(told(other).1, Err(NotJson::Other), "{other}");
        }
    }

    #[test]
    fn escapes_stand_for_what_they_stand_for() {
        let mut out = Vec::new();
        for (text, wanted) in [
            (r#"a\"b\\c\/d"#, "a\"b\\c/d"),
            (r"\n\t\r", "\n\t\r"),
            (r"\u00e9\ud83d\ude80.", "é🚀."),
            (r"\ud83d.\u12", "\u{fffd}.\u{fffd}12"),
            ("end\\", "end"),
        ] {
            unescape(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), wanted, "{text}");
        }
    }

    #[test]
    fn pages_are_told_by_their_beginning() {
        assert_eq!(page(br#"{"data":[{"id":1}]}"#), Some(9));
        assert_eq!(page(b"{ \"data\" : [\n {"), Some(14));
        assert_eq!(page(b"[{}, {}]"), Some(1));
        for other in [&b"{\"data\":{}}"[..], b"{}", b"[PR04] could not", b"[1]", b""] {
            assert_eq!(page(other), None);
        }
        assert_eq!(next(b"{} , {}", 2), Some(5));
        assert_eq!(next(b"{}]", 2), None);
    }
}
