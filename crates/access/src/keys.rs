//! What is kept in `<data>/access`: the secret, the bearer token, and which links have been redeemed.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use outlast_runtime::{clock, random};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::denial::{Denial, DenialReason};
use crate::signed::{Purpose, Secret, hex, unhex};

/// How long a link can be redeemed.
const TICKET_LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// How long a browser stays logged in.
const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Nothing that we signed is longer; a cookie field may hold many others.
const SHOWN_BYTES_MAX: usize = 4096;
/// Tells a token of ours from other words, also to scanners of leaked secrets.
const TOKEN_PREFIX: &str = "olt_";

/// Keys, and which links have been redeemed. Clones share the keys.
#[derive(Clone)]
pub struct Access(Arc<Keys>);

struct Keys {
    folder: PathBuf,
    secret: Secret,
    token: String,
    cookie_name: String,
}

/// Why the keys cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The operating system refused.
    #[error("cannot {what} {}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What it says.
        #[source]
        source: io::Error,
    },
    /// Others may read what only we may know.
    #[error("{} may be read by others (mode {mode:o}); run `chmod go= {}`", .path.display(), .path.display())]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A key file does not hold a key.
    #[error("{} does not hold a key; delete it, and everybody logs in anew", .0.display())]
    Damaged(PathBuf),
}

/// The secret part of a one-time link. It does not print itself.
pub struct Ticket(String);

impl Ticket {
    /// The text, for the link only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(…)")
    }
}

/// A cookie that keeps a browser logged in for 30 days. It does not print itself.
pub struct SessionCookie(String);

impl SessionCookie {
    /// The value of `Set-Cookie` (RFC 6265 section 4.1): for this host, for no script, for no other site's requests but
    /// following a link.
    #[must_use]
    pub fn set_cookie(&self) -> String {
        let age = SESSION_LIFETIME.as_secs();
        format!("{}; HttpOnly; SameSite=Lax; Path=/; Max-Age={age}", self.0)
    }
}

impl fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionCookie(…)")
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}

impl Access {
    /// Opens the keys in `<data>/access`, making them at the first time. Processes that do so at once agree.
    ///
    /// # Errors
    /// [`AccessError`]: the folder cannot be used, or is not for us alone, or holds something else.
    pub fn open(data: &Path) -> Result<Self, AccessError> {
        let folder = data.join("access");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| AccessError::Io { what: "make", path: folder.clone(), source })?;
        private(&folder)?;
        let secret_path = folder.join("secret");
        let secret = keep(&secret_path, || hex(&random::bytes::<32>()))?;
        let secret = unhex(&secret).map(Secret).ok_or(AccessError::Damaged(secret_path))?;
        let token_path = folder.join("token");
        let token = keep(&token_path, || format!("{TOKEN_PREFIX}{}", hex(&random::bytes::<32>())))?;
        let key = token.strip_prefix(TOKEN_PREFIX).and_then(unhex::<32>);
        if key.is_none() {
            return Err(AccessError::Damaged(token_path));
        }
        let cookie_name = format!("outlast_{}", secret.name(Purpose::CookieName));
        Ok(Self(Arc::new(Keys { folder, secret, token, cookie_name })))
    }

    /// Whether [`Access::open`] would find keys in this data folder, and not make them.
    #[must_use]
    pub fn is_kept_in(data: &Path) -> bool {
        data.join("access").join("secret").exists()
    }

    /// Where the bearer token is kept.
    #[must_use]
    pub fn token_path(&self) -> PathBuf {
        self.0.folder.join("token")
    }

    /// A ticket that can be redeemed once within an hour, by any process with this data folder.
    #[must_use]
    pub fn issue_ticket(&self) -> Ticket {
        Ticket(self.0.secret.sign(Purpose::Ticket, clock::wall_now() + TICKET_LIFETIME))
    }

    /// Redeems a ticket: exactly once, whoever tries at the same time, also after a restart.
    ///
    /// # Errors
    /// It is not ours, has expired or has been redeemed; or the folder does not take the mark that it has been.
    pub fn redeem(&self, ticket: &str) -> Result<SessionCookie, Denial> {
        self.redeem_at(ticket, clock::wall_now()).map_err(Denial::link)
    }

    fn redeem_at(&self, ticket: &str, now: Timestamp) -> Result<SessionCookie, DenialReason> {
        if ticket.is_empty() {
            return Err(DenialReason::Nothing);
        }
        if ticket.len() > SHOWN_BYTES_MAX {
            return Err(DenialReason::Malformed);
        }
        let valid = self.0.secret.verify(Purpose::Ticket, ticket, now)?;
        let redeemed = self.0.folder.join("redeemed");
        self.forget_expired(&redeemed, now).map_err(|_| DenialReason::Storage)?;
        // The name tells when the mark may go.
        let mark = redeemed.join(format!("{}.{}", valid.expiry.as_second(), valid.nonce));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(mark) {
            Ok(_mark) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(DenialReason::Redeemed);
            }
            Err(_) => return Err(DenialReason::Storage),
        }
        let session = self.0.secret.sign(Purpose::Session, now + SESSION_LIFETIME);
        Ok(SessionCookie(format!("{}={session}", self.0.cookie_name)))
    }

    /// Removes the marks of tickets that no longer work anyway, so that they don't gather.
    fn forget_expired(&self, redeemed: &Path, now: Timestamp) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(redeemed)?;
        for entry in fs::read_dir(redeemed)? {
            let entry = entry?;
            let name = entry.file_name();
            let expiry = name.to_str().and_then(|name| name.split_once('.')?.0.parse().ok());
            if expiry.is_some_and(|second: i64| second <= now.as_second()) {
                match fs::remove_file(entry.path()) {
                    // Another process was faster.
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Checks what a visitor shows: all `Cookie` fields joined, and `Authorization`.
    pub(crate) fn check(
        &self,
        cookie: Option<&str>,
        authorization: Option<&str>,
        now: Timestamp,
    ) -> Result<(), DenialReason> {
        if let Some(authorization) = authorization {
            return self.check_bearer(authorization);
        }
        let name = self.0.cookie_name.as_str();
        let pairs =
            cookie.unwrap_or_default().split(';').filter_map(|pair| pair.trim().split_once('='));
        let mut verdict = Err(DenialReason::Nothing);
        // A cookie of a path or parent domain may stand beside ours under the same name.
        for (_, value) in pairs.filter(|(other, _)| *other == name) {
            if value.len() > SHOWN_BYTES_MAX {
                verdict = Err(DenialReason::Malformed);
                continue;
            }
            match self.0.secret.verify(Purpose::Session, value, now) {
                Ok(_valid) => return Ok(()),
                Err(reason) => verdict = Err(reason),
            }
        }
        verdict
    }

    /// RFC 6750 section 2.1; the scheme's case does not matter (RFC 9110 section 11.1).
    fn check_bearer(&self, authorization: &str) -> Result<(), DenialReason> {
        let (scheme, token) = authorization.split_once(' ').ok_or(DenialReason::Malformed)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(DenialReason::Malformed);
        }
        let is_equal: bool = token.trim().as_bytes().ct_eq(self.0.token.as_bytes()).into();
        if is_equal { Ok(()) } else { Err(DenialReason::Forged) }
    }
}

/// Reads a key file, or writes it if there is none. Whoever comes first wins, and all read the winner's.
fn keep(path: &Path, make: impl FnOnce() -> String) -> Result<String, AccessError> {
    let failed = |what, source| AccessError::Io { what, path: path.to_owned(), source };
    if !path.try_exists().map_err(|source| failed("look for", source))? {
        // Complete before it has its name, so that nobody reads a part of it.
        let unique = format!("{}.{}", path.display(), hex(&random::bytes::<8>()));
        let written = write_new(Path::new(&unique), &make());
        let linked = written.and_then(|()| match fs::hard_link(&unique, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        });
        let removed = fs::remove_file(&unique);
        linked.and(removed).map_err(|source| failed("write", source))?;
    }
    private(path)?;
    let mut text = String::new();
    // A key has 68 characters; whatever is longer is none.
    let read = File::open(path).and_then(|file| file.take(1024).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text.trim_end().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(AccessError::Damaged(path.to_owned()))
        }
        Err(error) => Err(failed("read", error)),
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

/// Makes sure that nobody else may read it.
fn private(path: &Path) -> Result<(), AccessError> {
    let metadata = fs::metadata(path).map_err(|source| AccessError::Io {
        what: "look at",
        path: path.to_owned(),
        source,
    })?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(AccessError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::thread;

    use super::*;

    fn open() -> (tempfile::TempDir, Access) {
        let data = tempfile::tempdir().unwrap();
        let access = Access::open(data.path()).unwrap();
        (data, access)
    }

    fn pair(cookie: &SessionCookie) -> String {
        cookie.set_cookie().split(';').next().unwrap().to_owned()
    }

    #[test]
    fn all_who_open_the_folder_first_agree_and_only_we_may_read_it() {
        let data = tempfile::tempdir().unwrap();
        let opened = thread::scope(|scope| {
            let open = || scope.spawn(|| Access::open(data.path()).unwrap());
            let threads: Vec<_> = std::iter::repeat_with(open).take(16).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        for access in &opened {
            assert_eq!(access.0.secret.0, opened[0].0.secret.0);
            assert_eq!(access.0.token, opened[0].0.token);
        }
        let mut names: Vec<_> = fs::read_dir(data.path().join("access"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().mode())
            })
            .collect();
        names.sort();
        assert_eq!(names, [("secret".to_owned(), 0o100_600), ("token".to_owned(), 0o100_600)]);
    }

    #[test]
    fn a_ticket_is_redeemed_by_exactly_one_of_many() {
        let (data, first) = open();
        let second = Access::open(data.path()).unwrap();
        let ticket = first.issue_ticket();
        let good = thread::scope(|scope| {
            let redeem = |access: &Access| {
                let access = access.clone();
                scope.spawn(|| {
                    access.redeem(ticket.expose()).map_err(|denial| (access, denial.reason))
                })
            };
            let threads: Vec<_> = (0..8).flat_map(|_| [redeem(&first), redeem(&second)]).collect();
            let results = threads.into_iter().map(|thread| thread.join().unwrap());
            results
                .filter(|result| match result {
                    Ok(_) => true,
                    Err((_, reason)) => {
                        assert_eq!(*reason, DenialReason::Redeemed);
                        false
                    }
                })
                .count()
        });
        assert_eq!(good, 1);
    }

    #[test]
    fn the_cookie_of_a_ticket_lets_in_until_it_expires() {
        let (_data, access) = open();
        let now = clock::wall_now();
        let cookie = pair(&access.redeem(access.issue_ticket().expose()).unwrap());
        let check = |shown: &str, at| access.check(Some(shown), None, at);
        assert_eq!(check(&cookie, now), Ok(()));
        assert_eq!(check(&format!("a=b; {cookie}; c"), now), Ok(()));
        let name = cookie.split('=').next().unwrap();
        assert_eq!(check(&format!("{name}=1.2.3; {cookie}"), now), Ok(()), "beside a foreign one");
        assert_eq!(check(&cookie, now + SESSION_LIFETIME * 2), Err(DenialReason::Expired));
        assert_eq!(check(&format!("{name}=1.2.3"), now), Err(DenialReason::Malformed));
        assert_eq!(check("a=b", now), Err(DenialReason::Nothing));
        let long = format!("{name}={}", "a".repeat(5000));
        assert_eq!(check(&long, now), Err(DenialReason::Malformed));
        let (_other_data, other) = open();
        assert_eq!(other.check(Some(&cookie), None, now), Err(DenialReason::Nothing));
    }

    #[test]
    fn tickets_expire_and_their_marks_do_not_gather() {
        let (data, access) = open();
        let now = clock::wall_now();
        for _ in 0..5 {
            access.redeem(access.issue_ticket().expose()).unwrap();
        }
        let redeemed = data.path().join("access/redeemed");
        let marks = || fs::read_dir(&redeemed).unwrap().count();
        assert_eq!(marks(), 5);
        let old = access.issue_ticket();
        let later = now + SignedDuration::from_hours(2);
        assert_eq!(access.redeem_at(old.expose(), later).unwrap_err(), DenialReason::Expired);
        let fresh = access.0.secret.sign(Purpose::Ticket, later + TICKET_LIFETIME);
        access.redeem_at(&fresh, later).unwrap();
        assert_eq!(marks(), 1, "the expired ones are gone");
        for (shown, reason) in [
            ("", DenialReason::Nothing),
            ("x", DenialReason::Malformed),
            (&"1.".repeat(4000), DenialReason::Malformed),
        ] {
            assert_eq!(access.redeem(shown).unwrap_err().reason, reason);
        }
    }

    #[test]
    fn the_bearer_token_is_the_one_in_the_file() {
        let (_data, access) = open();
        let token = fs::read_to_string(access.token_path()).unwrap();
        let token = token.trim();
        let now = clock::wall_now();
        let check = |shown: &str| access.check(None, Some(shown), now);
        for good in
            [format!("Bearer {token}"), format!("bearer {token}"), format!("BEARER  {token}")]
        {
            assert_eq!(check(&good), Ok(()), "{good}");
        }
        for (bad, reason) in [
            (format!("Bearer {token}0"), DenialReason::Forged),
            ("Bearer".to_owned(), DenialReason::Malformed),
            ("Bearer ".to_owned(), DenialReason::Forged),
            (format!("Basic {token}"), DenialReason::Malformed),
            (token.to_owned(), DenialReason::Malformed),
        ] {
            assert_eq!(check(&bad), Err(reason), "{bad}");
        }
    }

    #[test]
    fn a_folder_or_file_that_others_may_read_is_refused() {
        let (data, _access) = open();
        for name in ["access", "access/secret", "access/token"] {
            let path = data.path().join(name);
            let mode = fs::metadata(&path).unwrap().mode();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o040)).unwrap();
            let error = Access::open(data.path()).unwrap_err();
            assert!(matches!(error, AccessError::Exposed { .. }), "{error}");
            assert!(error.to_string().contains("chmod go= "), "{error}");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        assert!(Access::open(data.path()).is_ok());
    }

    #[test]
    fn a_damaged_key_is_told_and_not_replaced() {
        let (data, _access) = open();
        for name in ["access/secret", "access/token"] {
            let path = data.path().join(name);
            let good = fs::read(&path).unwrap();
            for bad in [&b""[..], b"short", b"\xff\xfe", &[b'a'; 4096]] {
                fs::write(&path, bad).unwrap();
                let error = Access::open(data.path()).unwrap_err();
                assert!(matches!(&error, AccessError::Damaged(at) if *at == path), "{error}");
                assert_eq!(fs::read(&path).unwrap(), bad);
            }
            fs::write(&path, good).unwrap();
        }
    }

    #[test]
    fn nothing_secret_prints_itself() {
        let (_data, access) = open();
        let ticket = access.issue_ticket();
        let cookie = access.redeem(ticket.expose()).unwrap();
        let printed = format!("{access:?} {ticket:?} {cookie:?}");
        assert!(!printed.contains(&access.0.token), "{printed}");
        assert!(
            !printed.contains(ticket.expose()) && !printed.contains(&pair(&cookie)),
            "{printed}"
        );
    }
}
