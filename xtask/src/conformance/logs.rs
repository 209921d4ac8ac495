//! Other people's logs.

use std::path::Path;

use anyhow::{Context, Result, bail};
use outlast_doctor::logs::{Form, Reader, Summary};

use super::files;

/// What is known to be in a file.
struct Wanted {
    name: &'static str,
    records: &'static [(Form, u64)],
    events: u64,
    not_understood: u64,
}

const fn wanted(
    name: &'static str,
    records: &'static [(Form, u64)],
    events: u64,
    not_understood: u64,
) -> Wanted {
    Wanted { name, records, events, not_understood }
}

/// Whoever changes how logs are read looks at them again.
const WANTED: [Wanted; 10] = [
    wanted("01-autostop-stop-start.txt", &[(Form::FlyText, 20)], 17, 0),
    wanted("02-cold-start-gave-up.txt", &[(Form::FlyText, 16)], 16, 0),
    wanted("03-hard-limit-dashboard.txt", &[(Form::Dashboard, 1)], 1, 0),
    wanted("04-nomad-era-request-fields.txt", &[(Form::FlyText, 2)], 2, 0),
    wanted("05-suspend-resume-dashboard.txt", &[(Form::Dashboard, 6)], 6, 0),
    wanted("06-interleaved-line.txt", &[(Form::FlyText, 2)], 2, 0),
    wanted("07-nats-vector.ndjson", &[(Form::Stream, 3)], 1, 0),
    wanted("08-proxy-messages-only.txt", &[(Form::Message, 15)], 15, 0),
    wanted("09-flyctl-current-text.txt", &[(Form::FlyText, 5)], 5, 0),
    wanted("10-incident-quoted.txt", &[(Form::Stamped, 6)], 6, 0),
];

/// Reads each, and fails if there are other records or events than there were, or lines that are not understood.
pub(super) fn run(folder: &Path) -> Result<()> {
    let paths = files(folder, &["txt", "ndjson"])?;
    let mut failures = 0;
    for path in &paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let summary = read(&bytes).with_context(|| path.display().to_string())?;
        let records = Form::ALL.map(|form| (form, summary.records(form)));
        let records: Vec<_> = records.into_iter().filter(|(_, count)| *count > 0).collect();
        let told: Vec<_> =
            records.iter().map(|(form, count)| format!("{count} of {}", form.name())).collect();
        let Summary { events, not_understood, .. } = summary;
        println!(
            "      {name}: {}, {events} events, {not_understood} lines not understood",
            told.join(", ")
        );
        let is_wanted = match WANTED.iter().find(|wanted| name == wanted.name) {
            Some(wanted) => {
                (wanted.records, wanted.events, wanted.not_understood)
                    == (&records, events, not_understood)
            }
            // Of a file that nobody has looked at yet all must be understood.
            None => not_understood == 0,
        };
        if !is_wanted {
            failures += 1;
            println!("FAILS {name}");
        }
    }
    println!("{} of {} are as expected", paths.len() - failures, paths.len());
    if failures > 0 {
        bail!("{failures} logs are read differently");
    }
    Ok(())
}

fn read(bytes: &[u8]) -> Result<Summary> {
    let mut reader = Reader::new(0);
    reader.feed(bytes, &mut |_| {});
    Ok(reader.finish(&mut |_| {})?)
}
