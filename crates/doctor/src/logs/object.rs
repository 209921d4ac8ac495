//! Records that are objects of JSON: Fly's four forms, and our own.

use super::event::{Level, Origin};
use super::json::{self, NotJson};
use super::outlast::{KEYS, Key};
use super::record::{Form, Record, level, origin};
use super::stamp::Clock;
use super::text::number;

/// What an object says, as it is written.
#[derive(Debug, Default)]
pub(super) struct Object<'a> {
    timestamp: &'a [u8],
    level: &'a [u8],
    pub(super) message: &'a [u8],
    error: &'a [u8],
    provider: &'a [u8],
    instance: &'a [u8],
    region: &'a [u8],
    request: &'a [u8],
    status: &'a [u8],
    target: &'a [u8],
    has_meta: bool,
    /// Fields of our own lines.
    pub(super) ours: [&'a [u8]; KEYS],
}

/// Reads the object that `text` begins with, and says where it ends.
pub(super) fn read(text: &[u8]) -> Result<(Object<'_>, usize), NotJson> {
    let mut object = Object::default();
    let end = json::walk(text, |outer, name, value| object.take(outer, name, value.text))?;
    Ok((object, end))
}

impl<'a> Object<'a> {
    fn take(&mut self, outer: &[u8], name: &[u8], value: &'a [u8]) {
        let is_within = |object: &str| outer.eq_ignore_ascii_case(object.as_bytes());
        match name {
            b"timestamp" => self.timestamp = value,
            b"level" => self.level = value,
            b"message" | b"Message" if is_within("error") => self.error = value,
            b"message" => self.message = value,
            b"provider" | b"Provider" => {
                self.has_meta |= outer == b"Event";
                self.provider = value;
            }
            b"instance" | b"Instance" => self.instance = value,
            b"region" | b"Region" => self.region = value,
            b"id" | b"ID" if is_within("request") => self.request = value,
            b"status_code" => self.status = value,
            b"target" => self.target = value,
            _ if outer.is_empty() => {
                if let Some(key) = Key::named(name) {
                    self.ours[key as usize] = value;
                }
            }
            _ => {}
        }
    }

    /// Whether a line of ours, and of which target.
    pub(super) fn our_target(&self) -> Option<&'a [u8]> {
        let is_ours = self.target == b"outlast" || self.target.starts_with(b"outlast:");
        let is_ours = is_ours || self.target.starts_with(b"outlast_");
        is_ours.then_some(self.target)
    }

    /// The record. `None`: it is JSON of somebody else.
    pub(super) fn record(&self, clock: &mut Clock, is_of_page: bool) -> Option<Record<'a>> {
        let at = clock.read(self.timestamp)?.at;
        let is_ours = self.our_target().is_some();
        let is_flys = !self.provider.is_empty() || !self.instance.is_empty();
        if !is_ours && !is_flys {
            return None;
        }
        let form = match (is_ours, is_of_page, self.has_meta) {
            (true, ..) => Form::OutlastJson,
            (_, true, _) => Form::Page,
            (.., true) => Form::FlyJson,
            _ => Form::Stream,
        };
        let message = if self.error.is_empty() { self.message } else { self.error };
        let our = |key: Key, other| if is_ours { self.ours[key as usize] } else { other };
        Some(Record {
            origin: if is_ours { Origin::Outlast } else { self.origin() },
            level: level(self.level).unwrap_or(Level::Unknown),
            machine: our(Key::Machine, self.instance),
            region: self.region,
            request: our(Key::RequestId, self.request),
            status: number(self.status).unwrap_or(0),
            ..Record::new(form, Some(at), message)
        })
    }

    fn origin(&self) -> Origin {
        origin(self.provider).unwrap_or(Origin::Unknown)
    }
}
