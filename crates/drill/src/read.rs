//! From the text of a load plan to a [`Plan`], with the place of everything that is wrong.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use outlast_config::read::{Dialect, Field, Reader, Section, listed, nearest, parse};
use outlast_config::{Diagnostic, SourceText, Spread, sort_diagnostics};

use crate::plan::{Arrivals, Blow, Client, Kind, Load, Misfortune, Plan, Reclick, RetryAfter};
use crate::threshold::Threshold;

/// Streams of one plan; many more than one host's ports.
const STREAMS_MAX: u64 = 100_000;
/// No drill is longer.
const TIME_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const GRACE: Duration = Duration::from_secs(60);
const LAG_MAX: Duration = Duration::from_millis(250);

/// Reads a plan.
///
/// # Errors
/// Everything that is wrong with it, the worst first.
pub fn read_plan(source: &SourceText) -> Result<Plan, Vec<Diagnostic>> {
    let table = parse(source)?;
    let reader = Reader::new(source, Dialect::Outlast, |_| None);
    let mut root = reader.root(&table);
    let plan = Plan {
        name: text(&mut root, "name").unwrap_or_else(|| source.name.to_string()),
        story: text(&mut root, "story").unwrap_or_default(),
        hold: thresholds(&mut root),
        grace: duration(&mut root, "grace").unwrap_or(GRACE),
        lag_max: duration(&mut root, "lag_max").unwrap_or(LAG_MAX),
        loads: loads(&mut root),
        misfortunes: misfortunes(&mut root),
        scale: 1.0,
    };
    root.finish();
    let mut diagnostics = reader.finish();
    if diagnostics.is_empty() {
        return Ok(plan);
    }
    sort_diagnostics(&mut diagnostics);
    Err(diagnostics)
}

fn text(section: &mut Section<'_>, key: &'static str) -> Option<String> {
    Some(section.take(key)?.text()?.value)
}

fn duration(section: &mut Section<'_>, key: &'static str) -> Option<Duration> {
    bounded(&section.take(key)?)
}

/// A duration that fits into a drill.
fn bounded(field: &Field<'_>) -> Option<Duration> {
    let duration = field.duration()?.value;
    if duration > TIME_MAX {
        let message = format!("`{}` is longer than a drill may be", field.path);
        field.say(Diagnostic::error(message).hint("write at most 168h"));
        return None;
    }
    Some(duration)
}

fn wrong(field: &Field<'_>, message: impl Display, hint: impl Into<String>) {
    field.say(Diagnostic::error(format!("`{}`: {message}", field.path)).hint(hint));
}

/// A whole number within a range.
fn count(field: &Field<'_>, range: Range<u64>) -> Option<u32> {
    let number = field.integer()?.value;
    let fits = u64::try_from(number).ok().filter(|number| range.contains(number));
    let fits = fits.and_then(|number| u32::try_from(number).ok());
    if fits.is_none() {
        let hint = format!("write a number from {} to {}", range.start, range.end - 1);
        wrong(field, format!("{number} is impossible"), hint);
    }
    fits
}

/// One of a few words.
fn word<T: Copy>(field: &Field<'_>, names: &[&'static str], values: &[T]) -> Option<T> {
    let text = field.text()?.value;
    let found = names.iter().position(|name| *name == text).map(|index| values[index]);
    if found.is_none() {
        let hint = match nearest(&text, names) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("write one of {}", listed(names)),
        };
        wrong(field, format!("{text:?} is not known"), hint);
    }
    found
}

fn thresholds(root: &mut Section<'_>) -> Vec<Threshold> {
    let Some(items) = root.take("hold").and_then(|field| field.items()) else { return Vec::new() };
    let judge = |item: &Field<'_>| {
        let text = item.text()?.value;
        match Threshold::from_str(&text) {
            Ok(threshold) => Some(threshold),
            Err(error) => {
                wrong(item, &error, error.hint());
                None
            }
        }
    };
    items.iter().filter_map(judge).collect()
}

fn loads(root: &mut Section<'_>) -> Vec<Load> {
    let Some(field) = root.take("load") else {
        let hint = "write [[load]] with at least `kind`, `users` and `length`";
        root.reader
            .say(Diagnostic::error("the plan has no load").at(root.reader.at(&(0..0))).hint(hint));
        return Vec::new();
    };
    let mut streams = 0;
    let mut loads = Vec::new();
    for (index, section) in field.tables().into_iter().enumerate() {
        let load = load(section, index);
        streams += load.arrivals.users() * u64::from(load.tabs);
        loads.push(load);
    }
    if streams > STREAMS_MAX {
        let message = format!("{streams} streams are more than one process can drive");
        field.say(Diagnostic::error(message).hint(format!("plan at most {STREAMS_MAX}")));
    }
    loads
}

fn load(mut section: Section<'_>, index: usize) -> Load {
    let (reader, span) = (section.reader, section.span.clone());
    let missing = |key: &str, hint: &str| {
        let message = format!("a load needs `{key}`");
        reader.say(Diagnostic::error(message).at(reader.at(&span)).hint(hint));
    };
    let kind = section.take("kind");
    if kind.is_none() {
        missing("kind", "write kind = \"chat\", \"ndjson\", \"sse\" or \"plain\"");
    }
    let kind = kind.and_then(|field| word(&field, &Kind::NAMES, &Kind::ALL));
    let spread = |section: &mut Section<'_>, key, default| {
        section.take(key).and_then(|field| read_spread(&field)).unwrap_or(default)
    };
    let zero = Spread::Fixed(Duration::ZERO);
    let load = Load {
        name: text(&mut section, "name").unwrap_or_else(|| format!("load {}", index + 1)),
        kind: kind.unwrap_or(Kind::Chat),
        path: path(&mut section),
        start: duration(&mut section, "start").unwrap_or_default(),
        arrivals: arrivals(&mut section, &missing),
        tabs: section.take("tabs").and_then(|field| count(&field, 1..1_001)).unwrap_or(1),
        length: spread(&mut section, "length", zero),
        gap: spread(&mut section, "gap", Spread::Fixed(Duration::from_secs(1))),
        first_byte: spread(&mut section, "first_byte", zero),
        client: section.take("client").and_then(|field| client(&field)).unwrap_or(Client::Patient),
        reclick: section
            .take("reclick")
            .and_then(|field| reclick(&field))
            .unwrap_or(Reclick::Never),
    };
    section.finish();
    load
}

fn path(section: &mut Section<'_>) -> Option<String> {
    let field = section.take("path")?;
    let path = field.text()?.value;
    if !path.starts_with('/') || path.contains(|c: char| c.is_ascii_control() || " #".contains(c)) {
        wrong(&field, format!("{path:?} is no path"), "begin it with a slash, without blanks");
        return None;
    }
    Some(path)
}

fn arrivals(section: &mut Section<'_>, missing: &dyn Fn(&str, &str)) -> Arrivals {
    let users = section.take("users");
    let steps = section.take("steps");
    if let Some(steps) = steps {
        if let Some(users) = users {
            wrong(&users, "the steps tell how many users come", "remove `users` or `steps`");
        }
        return read_steps(&steps);
    }
    let Some(users) = users else {
        missing("users", "write users = 10, or steps = { levels = [5, 50], every = \"2m\" }");
        return Arrivals::AtOnce { users: 0 };
    };
    let users = count(&users, 1..STREAMS_MAX + 1).unwrap_or(0);
    let Some(field) = section.take("arrivals") else { return Arrivals::AtOnce { users } };
    let Some((name, value)) = one_of(&field, &["at_once", "constant", "poisson"]) else {
        return Arrivals::AtOnce { users };
    };
    let gap = value.as_ref().and_then(bounded);
    match (name, gap) {
        ("constant", Some(gap)) => Arrivals::Constant { users, gap },
        ("poisson", Some(gap)) => Arrivals::Poisson { users, gap },
        ("constant" | "poisson", None) if value.is_none() => {
            wrong(&field, format!("{name:?} needs a gap"), format!("write {{ {name} = \"2s\" }}"));
            Arrivals::AtOnce { users }
        }
        _ => Arrivals::AtOnce { users },
    }
}

fn read_steps(field: &Field<'_>) -> Arrivals {
    let mut levels = Vec::new();
    let mut every = Duration::ZERO;
    if let Some(mut section) = field.table() {
        if let Some(items) = section.take("levels").and_then(|field| field.items()) {
            levels = items.iter().filter_map(|item| count(item, 1..STREAMS_MAX + 1)).collect();
        }
        every = duration(&mut section, "every").unwrap_or_default();
        if levels.is_empty() || every.is_zero() {
            let hint = "write steps = { levels = [5, 50, 200], every = \"2m\" }";
            wrong(field, "steps need levels and the time that each lasts", hint);
        }
        section.finish();
    }
    Arrivals::Steps { levels, every }
}

/// A word, or a table whose first known key is the word and whose value says more.
fn one_of<'a>(
    field: &Field<'a>,
    names: &[&'static str],
) -> Option<(&'static str, Option<Field<'a>>)> {
    if field.is_text() {
        return word(field, names, names).map(|name| (name, None));
    }
    let mut section = field.table()?;
    let found = names.iter().find_map(|name| Some((*name, section.take(name)?)));
    section.finish();
    match found {
        Some((name, value)) => Some((name, Some(value))),
        None => {
            wrong(field, "none of its words is there", format!("write one of {}", listed(names)));
            None
        }
    }
}

fn read_spread(field: &Field<'_>) -> Option<Spread> {
    if !field.is_table() {
        return bounded(field).map(Spread::Fixed);
    }
    let (name, value) = one_of(field, &["uniform", "exponential", "lognormal"])?;
    let value = value?;
    if name == "exponential" {
        return bounded(&value).map(Spread::Exponential);
    }
    let items = value.items()?;
    let [first, second] = &items[..] else {
        let example = match name {
            "uniform" => "uniform = [\"5m\", \"10m\"]",
            _ => "lognormal = [\"5m\", 0.5], median and spread of the logarithm",
        };
        wrong(&value, "two items are needed", format!("write {example}"));
        return None;
    };
    let low = bounded(first)?;
    if name == "lognormal" {
        let sigma = second.number()?.value;
        if !(0.0..=3.0).contains(&sigma) {
            wrong(second, format!("{sigma} is impossible"), "write a number from 0 to 3");
            return None;
        }
        return Some(Spread::Lognormal(low, sigma));
    }
    let high = bounded(second)?;
    if low > high {
        wrong(&value, "the lower end is above the upper one", "swap them");
        return None;
    }
    Some(Spread::Uniform(low, high))
}

const CLIENTS: [&str; 6] = ["patient", "leave", "sleep", "slow", "vanish", "half_close"];

fn client(field: &Field<'_>) -> Option<Client> {
    if field.is_text() {
        return match word(field, &CLIENTS, &CLIENTS)? {
            "patient" => Some(Client::Patient),
            "half_close" => Some(Client::HalfClose),
            name => {
                let example = if name == "slow" { "1000" } else { "\"30s\"" };
                let hint = format!("write client = {{ {name} = {example} }}");
                wrong(field, format!("{name:?} needs a value"), hint);
                None
            }
        };
    }
    let mut section = field.table()?;
    let rest = section.take("for").and_then(|field| read_spread(&field));
    let found = CLIENTS.iter().find_map(|name| Some((*name, section.take(name)?)));
    section.finish();
    let Some((name, value)) = found else {
        wrong(field, "it does nothing", format!("write one of {}", listed(&CLIENTS)));
        return None;
    };
    match name {
        "leave" => read_spread(&value).map(Client::Leave),
        "vanish" => read_spread(&value).map(Client::Vanish),
        "slow" => count(&value, 1..1_000_000_000).map(Client::Slow),
        "sleep" => match rest {
            Some(rest) => read_spread(&value).map(|after| Client::Sleep(after, rest)),
            None => {
                let hint = "write client = { sleep = \"1m\", for = \"5m\" }";
                wrong(field, "how long it sleeps is missing", hint);
                None
            }
        },
        _ => {
            wrong(field, "it takes no value", format!("write client = {name:?}"));
            None
        }
    }
}

fn reclick(field: &Field<'_>) -> Option<Reclick> {
    let mut section = field.table()?;
    let wait = section.take("wait").and_then(|field| read_spread(&field));
    let times = section.take("times").and_then(|field| count(&field, 1..10_001));
    let heeds = section.take("retry_after").and_then(|field| field.boolean());
    section.finish();
    let Some(wait) = wait else {
        let hint = "write reclick = { wait = \"3s\", times = 20, retry_after = true }";
        wrong(field, "how long the client waits is missing", hint);
        return None;
    };
    let heeds = heeds.is_none_or(|heeds| heeds.value);
    let retry_after = if heeds { RetryAfter::Heed } else { RetryAfter::Ignore };
    Some(Reclick::Again { wait, times: times.unwrap_or(20), retry_after })
}

fn misfortunes(root: &mut Section<'_>) -> Vec<Misfortune> {
    let Some(field) = root.take("misfortune") else { return Vec::new() };
    let names = ["kill", "pause", "drain", "restart", "full_disk"];
    let read = |mut section: Section<'_>| {
        let (reader, span) = (section.reader, section.span.clone());
        let at = duration(&mut section, "at");
        let what = section.take("what").and_then(|field| word(&field, &names, &names));
        let rest = duration(&mut section, "for");
        section.finish();
        let blow = match (what, rest) {
            (Some("kill"), _) => Some(Blow::Kill),
            (Some("drain"), _) => Some(Blow::Drain),
            (Some("restart"), _) => Some(Blow::Restart),
            (Some("pause"), Some(rest)) => Some(Blow::Pause(rest)),
            (Some("full_disk"), Some(rest)) => Some(Blow::FullDisk(rest)),
            _ => None,
        };
        if let (Some(at), Some(what)) = (at, blow) {
            return Some(Misfortune { at, what });
        }
        let hint = "write at = \"2m\" and what = \"drain\"; a pause or a full disk also needs for = \"10s\"";
        let message = "a misfortune needs `at` and `what`";
        reader.say(Diagnostic::error(message).at(reader.at(&span)).hint(hint));
        None
    };
    field.tables().into_iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Plan, Vec<Diagnostic>> {
        read_plan(&SourceText::new("plan.toml", text))
    }

    #[test]
    fn a_plan_is_read_whole() {
        let plan = read(
            r#"
            name = "everything"
            story = "One of each."
            hold = ["refused == 0", "p99_first_byte < 2s"]
            grace = "30s"
            lag_max = "1s"
            [[load]]
            name = "chats"
            kind = "chat"
            path = "/x"
            users = 40
            tabs = 2
            start = "5s"
            arrivals = { poisson = "2s" }
            length = { uniform = ["5m", "10m"] }
            gap = { lognormal = ["1s", 0.5] }
            first_byte = { exponential = "2s" }
            client = { sleep = "1m", for = { uniform = ["5m", "6m"] } }
            reclick = { wait = "3s", times = 5, retry_after = false }
            [[load]]
            kind = "sse"
            steps = { levels = [5, 50], every = "2m" }
            client = "half_close"
            [[misfortune]]
            at = "1m"
            what = "pause"
            for = "10s"
            [[misfortune]]
            at = "2m"
            what = "full_disk"
            for = "1m"
            "#,
        )
        .unwrap();
        let minute = Duration::from_secs(60);
        assert_eq!((plan.name.as_str(), plan.hold.len(), plan.loads.len()), ("everything", 2, 2));
        let chats = &plan.loads[0];
        assert_eq!(chats.arrivals, Arrivals::Poisson { users: 40, gap: Duration::from_secs(2) });
        assert_eq!(chats.length, Spread::Uniform(5 * minute, 10 * minute));
        assert_eq!(
            chats.client,
            Client::Sleep(Spread::Fixed(minute), Spread::Uniform(5 * minute, 6 * minute))
        );
        let Reclick::Again { times: 5, retry_after: RetryAfter::Ignore, .. } = chats.reclick else {
            panic!("{:?}", chats.reclick)
        };
        assert_eq!(plan.loads[1].client, Client::HalfClose);
        let pause = Blow::Pause(Duration::from_secs(10));
        let full = Misfortune { at: 2 * minute, what: Blow::FullDisk(minute) };
        assert_eq!(plan.misfortunes, [Misfortune { at: minute, what: pause }, full]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_a_hint() {
        let load = "[[load]]\nkind = \"sse\"\nusers = 1\nlength = \"1s\"\n";
        let table: &[(&str, &str, &str)] = &[
            ("nam = \"x\"", "unknown key `nam`", "did you mean `name`?"),
            ("hold = [\"refusd == 0\"]", "nothing called \"refusd\"", "`refused`"),
            ("grace = \"1 hour\"", "is not a duration", "units"),
            ("grace = \"169h\"", "longer than a drill", "at most 168h"),
            ("[[load]]\nkind = \"sse\"\nusers = -3", "-3 is impossible", "from 1 to 100000"),
            ("[[load]]\nkind = \"sse\"\nusers = 0", "0 is impossible", "from 1"),
            ("[[load]]\nkind = \"see\"\nusers = 1", "\"see\" is not known", "\"sse\""),
            ("[[load]]\nkind = \"sse\"", "needs `users`", "users = 10"),
            ("[[load]]\nusers = 1", "needs `kind`", "\"ndjson\""),
            ("[[load]]\nkind = \"sse\"\nusers = 1\ntab = 1", "`load.tab`", "`tabs`"),
            (
                "[[load]]\nkind = \"sse\"\nusers = 1\nlength = { uniform = [\"2s\", \"1s\"] }",
                "the lower end is above",
                "swap",
            ),
            (
                "[[load]]\nkind = \"sse\"\nusers = 1\nlength = { lognormal = [\"2s\", 9] }",
                "9 is impossible",
                "from 0 to 3",
            ),
            (
                "[[load]]\nkind = \"sse\"\nusers = 1\nclient = { sleep = \"1s\" }",
                "how long it sleeps",
                "for = ",
            ),
            ("[[load]]\nkind = \"sse\"\nusers = 1\nclient = \"leave\"", "needs a value", "30s"),
            (
                "[[load]]\nkind = \"sse\"\nusers = 1\narrivals = \"poisson\"",
                "needs a gap",
                "poisson = \"2s\"",
            ),
            ("[[load]]\nkind = \"sse\"\nusers = 100000\ntabs = 2", "200000 streams", "at most"),
            ("[[misfortune]]\nat = \"1s\"\nwhat = \"pause\"", "needs `at` and `what`", "for ="),
            ("[[misfortune]]\nat = \"1s\"\nwhat = \"full_disk\"", "needs `at`", "for ="),
        ];
        for (text, message, hint) in table {
            let has_load = text.contains("[[load]]");
            let whole = if has_load { (*text).to_owned() } else { format!("{text}\n{load}") };
            let errors = read(&whole).expect_err(text);
            let found = errors.iter().find(|error| error.message.contains(message));
            let found = found.unwrap_or_else(|| panic!("{text}: {errors:?}"));
            assert!(found.hint.as_ref().is_some_and(|text| text.contains(hint)), "{found:?}");
            assert!(found.place().is_some(), "{text}: {found:?}");
            assert_eq!(errors.len(), 1, "{text}: {errors:?}");
        }
        let errors = read("").expect_err("a plan without load");
        assert!(errors[0].message.contains("no load"), "{errors:?}");
    }
}
