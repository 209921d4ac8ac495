//! Who plays in an incident: names, addresses and the calendar, as the seed says.

use jiff::Timestamp;

use super::script::Chance;

const REGIONS: [&str; 8] = ["sjc", "fra", "ams", "ord", "sin", "syd", "gru", "lhr"];
const APPS: [&str; 8] = [
    "quiet-harbor-1187",
    "notes-api",
    "lanternchat",
    "studio-desk",
    "fieldbook-web",
    "orchid-4410",
    "pairwise",
    "tin-whistle-220",
];
const BROWSERS: [&str; 3] = [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "okhttp/4.12.0",
];
/// Stories happen in the year from here on.
const YEAR: &str = "2025-10-01T00:00:00Z";
const YEAR_SECONDS: f64 = 360.0 * 86_400.0;

pub(super) struct Cast {
    pub(super) app: String,
    pub(super) region: String,
    pub(super) port: u16,
    pub(super) begins: Timestamp,
    machines: Vec<String>,
    /// Makes what a request's id gives the same in each of its lines.
    salt: u64,
}

impl Cast {
    pub(super) fn new(chance: &mut Chance) -> Self {
        let year: Timestamp = YEAR.parse().unwrap();
        let seconds = chance.between(0.0, YEAR_SECONDS);
        Self {
            app: (*chance.pick(&APPS)).to_owned(),
            region: (*chance.pick(&REGIONS)).to_owned(),
            port: *chance.pick(&[8080, 3000, 10000, 4000]),
            begins: year + std::time::Duration::from_secs_f64(seconds),
            machines: (0..3).map(|_| chance.hex(14)).collect(),
            salt: u64::from(chance.whole(0, u32::MAX - 1)),
        }
    }

    pub(super) fn machine(&self, number: usize) -> &str {
        &self.machines[number]
    }

    pub(super) fn host(&self) -> String {
        format!("{}.fly.dev", self.app)
    }

    pub(super) fn at(&self, story: f64) -> Timestamp {
        self.begins + jiff::SignedDuration::from_secs_f64(story)
    }

    pub(super) fn unix_ms(&self, story: f64) -> i64 {
        self.at(story).as_millisecond()
    }

    fn text(&self, story: f64, format: &str) -> String {
        self.at(story).strftime(format).to_string()
    }

    pub(super) fn go(&self, story: f64) -> String {
        self.text(story, "%Y/%m/%d %H:%M:%S")
    }

    pub(super) fn gin(&self, story: f64) -> String {
        self.text(story, "%Y/%m/%d - %H:%M:%S")
    }

    pub(super) fn common(&self, story: f64) -> String {
        self.text(story, "%d/%b/%Y:%H:%M:%S +0000")
    }

    pub(super) fn clock_ms(&self, story: f64) -> String {
        self.text(story, "%H:%M:%S.%3f")
    }

    pub(super) fn python(&self, story: f64) -> String {
        self.text(story, "%Y-%m-%d %H:%M:%S,%3f")
    }

    /// A number of a request that is the same whenever it is asked for (FNV-1a).
    fn number(&self, request: &str) -> u64 {
        let begin = 0xcbf2_9ce4_8422_2325 ^ self.salt;
        request
            .bytes()
            .fold(begin, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// How the app calls a request.
    pub(super) fn short(&self, request: &str) -> String {
        format!("{:06x}", self.number(request) >> 40)
    }

    /// An address that is nobody's (RFC 5737).
    pub(super) fn client(&self, request: &str) -> String {
        format!("203.0.113.{}", self.number(request) % 250 + 2)
    }

    pub(super) fn port(&self, request: &str) -> u64 {
        self.number(request) % 20_000 + 33_000
    }

    pub(super) fn browser(&self, request: &str) -> &'static str {
        BROWSERS[(self.number(request) >> 32) as usize % BROWSERS.len()]
    }
}
