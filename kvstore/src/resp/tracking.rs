//! CLIENT TRACKING and its kin: a client that keeps what it has read is told when it changes.

use std::collections::BTreeSet;
use std::ops::Bound;

use bytes::Bytes;

use super::encode::{Replies, Version};
use super::parse::Arguments;
use super::plan::NOT_AN_INTEGER;
use super::words::{is, shown};
use crate::clients::{Clients, Tracking};
use crate::command::MAX_KEY_BYTES;
use crate::decimal::decimal;
use crate::table::{Does, Spec};
use crate::tracking::{Choice, Mode, Stale, Tracker};

const SYNTAX: &str = "ERR syntax error";

/// Where clients of version 2 are told that others must not use something any more.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// Most bytes of prefixes of one client, and what each takes beside its bytes.
const MOST_PREFIX_BYTES: usize = 1 << 20;
const PREFIX_BYTES: usize = 256;

/// `CLIENT TRACKING ON|OFF [REDIRECT id] [PREFIX prefix ..] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]`
pub(super) fn track(options: Arguments<'_>, tracker: &mut Tracker, clients: &Clients) -> Result<(), String> {
    let wanted = Wanted::read(options.from(1), clients)?;
    if is(options.get(0), "ON") {
        let mode = wanted.mode(tracker)?;
        tracker.begin(mode);
    } else if is(options.get(0), "OFF") {
        tracker.end();
    } else {
        return Err(SYNTAX.into());
    }
    Ok(())
}

/// The options of CLIENT TRACKING.
#[derive(Default)]
struct Wanted {
    redirect: u64,
    is_broadcast: bool,
    opts_in: bool,
    opts_out: bool,
    is_loopless: bool,
    prefixes: Vec<Bytes>,
}

impl Wanted {
    fn read(options: Arguments<'_>, clients: &Clients) -> Result<Wanted, String> {
        let mut wanted = Wanted::default();
        let mut options = options.iter();
        while let Some(option) = options.next() {
            if is(option, "REDIRECT") && options.len() > 0 {
                if wanted.redirect != 0 {
                    return Err("ERR A client can only redirect to a single other client".into());
                }
                let id = decimal(options.next().unwrap_or_default()).ok_or(NOT_AN_INTEGER)?;
                let id = u64::try_from(id).ok().filter(|id| clients.seat(*id).is_some());
                wanted.redirect = id.ok_or("ERR The client ID you want redirect to does not exist")?;
            } else if is(option, "BCAST") {
                wanted.is_broadcast = true;
            } else if is(option, "OPTIN") {
                wanted.opts_in = true;
            } else if is(option, "OPTOUT") {
                wanted.opts_out = true;
            } else if is(option, "NOLOOP") {
                wanted.is_loopless = true;
            } else if is(option, "PREFIX") && options.len() > 0 {
                wanted.prefixes.extend(options.next().map(Bytes::copy_from_slice));
            } else {
                return Err(SYNTAX.into());
            }
        }
        Ok(wanted)
    }

    /// How the client wants to track, if that fits together and to how it tracks now.
    fn mode(self, tracker: &Tracker) -> Result<Mode, String> {
        let Wanted { redirect, is_broadcast, opts_in, opts_out, is_loopless, mut prefixes } = self;
        let present = tracker.mode();
        if !is_broadcast && !prefixes.is_empty() {
            return Err("ERR PREFIX option requires BCAST mode to be enabled".into());
        }
        if present.is_some_and(|mode| mode.prefixes.is_some() != is_broadcast) {
            return Err(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then \
                        re-enabling it with a different mode."
                    .into(),
            );
        }
        if is_broadcast && (opts_in || opts_out) {
            return Err("ERR OPTIN and OPTOUT are not compatible with BCAST".into());
        }
        let choice = match (opts_in, opts_out) {
            (true, true) => return Err("ERR You can't specify both OPTIN mode and OPTOUT mode".into()),
            (true, false) => Choice::Wanted,
            (false, true) => Choice::NotUnwanted,
            (false, false) => Choice::All,
        };
        let before = present.map_or(Choice::All, |mode| mode.choice);
        if before != Choice::All && choice != Choice::All && before != choice {
            return Err(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then \
                        re-enabling it with a different mode."
                    .into(),
            );
        }
        check_prefixes(&prefixes, tracker)?;
        if is_broadcast && prefixes.is_empty() {
            prefixes.push(Bytes::new());
        }
        Ok(Mode { redirect, prefixes: is_broadcast.then_some(prefixes), choice, is_loopless })
    }
}

/// Checks that no prefix begins with another one, which the client has or asks for, and that they do not take too much.
fn check_prefixes(prefixes: &[Bytes], tracker: &Tracker) -> Result<(), String> {
    let mut all: BTreeSet<&Bytes> = tracker.prefixes().collect();
    for prefix in prefixes {
        if let Some(other) = overlapping(&all, prefix) {
            return Err(overlap(prefix, "an existing", other));
        }
    }
    for prefix in prefixes {
        if let Some(earlier) = overlapping(&all, prefix) {
            return Err(overlap(earlier, "another provided", prefix));
        }
        all.insert(prefix);
    }
    let bytes: usize = all.iter().map(|prefix| prefix.len() + PREFIX_BYTES).sum();
    if all.iter().any(|prefix| prefix.len() > MAX_KEY_BYTES) || bytes > MOST_PREFIX_BYTES {
        return Err(format!("ERR the prefixes of a client take {MOST_PREFIX_BYTES} bytes (1 MiB) at most"));
    }
    Ok(())
}

/// One of the prefixes, none of which begins with another one, that begins with this one, or with which it begins.
fn overlapping<'p>(all: &BTreeSet<&'p Bytes>, prefix: &Bytes) -> Option<&'p Bytes> {
    let longer = all.range::<Bytes, _>((Bound::Included(prefix), Bound::Unbounded)).next();
    let shorter = all.range::<Bytes, _>((Bound::Unbounded, Bound::Excluded(prefix))).next_back();
    let longer = longer.filter(|other| other.starts_with(prefix));
    longer.or(shorter.filter(|other| prefix.starts_with(other))).copied()
}

fn overlap(prefix: &[u8], which: &str, other: &[u8]) -> String {
    let (prefix, other) = (shown(prefix, 128), shown(other, 128));
    format!(
        "ERR Prefix '{prefix}' overlaps with {which} prefix '{other}'. Prefixes for a single client must not overlap."
    )
}

/// `CLIENT CACHING YES|NO`: whether what the next command reads is remembered.
pub(super) fn choose(word: &[u8], tracker: &mut Tracker) -> Result<(), String> {
    let Some(Mode { choice, .. }) = tracker.mode() else {
        return Err(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT \
                    mode enabled"
                .into(),
        );
    };
    match (is(word, "YES"), is(word, "NO"), choice) {
        (true, _, Choice::Wanted) | (_, true, Choice::NotUnwanted) => tracker.choose(true),
        (true, ..) => {
            return Err("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.".into());
        }
        (_, true, _) => {
            return Err("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.".into());
        }
        _ => return Err(SYNTAX.into()),
    }
    Ok(())
}

/// `CLIENT TRACKINGINFO`
pub(super) fn tell(tracker: &Tracker, replies: &mut Replies<'_>) {
    let mode = tracker.mode();
    let has = |choice| mode.is_some_and(|mode| mode.choice == choice);
    let flags = [
        ("off", mode.is_none()),
        ("on", mode.is_some()),
        ("bcast", mode.is_some_and(|mode| mode.prefixes.is_some())),
        ("optin", has(Choice::Wanted)),
        ("caching-yes", has(Choice::Wanted) && tracker.has_chosen()),
        ("optout", has(Choice::NotUnwanted)),
        ("caching-no", has(Choice::NotUnwanted) && tracker.has_chosen()),
        ("noloop", mode.is_some_and(|mode| mode.is_loopless)),
        ("broken_redirect", tracker.is_broken()),
    ];
    let flags: Vec<&str> = flags.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect();
    replies.map(3);
    replies.bulk(b"flags");
    replies.set(flags.len());
    flags.iter().for_each(|flag| replies.bulk(flag.as_bytes()));
    replies.bulk(b"redirect");
    redirect(tracker, replies);
    replies.bulk(b"prefixes");
    replies.array(tracker.prefixes().len());
    tracker.prefixes().for_each(|prefix| replies.bulk(prefix));
}

/// `CLIENT GETREDIR`
pub(super) fn redirect(tracker: &Tracker, replies: &mut Replies<'_>) {
    match tracker.mode() {
        Some(mode) => replies.count(mode.redirect),
        None => replies.integer(-1),
    }
}

/// What CLIENT LIST shows of it.
pub(super) fn published(tracker: &Tracker) -> Option<Tracking> {
    let Mode { redirect, prefixes, .. } = tracker.mode()?;
    Some(Tracking { redirect: *redirect, is_broken: tracker.is_broken(), is_broadcast: prefixes.is_some() })
}

/// The keys of a request, if it is one that changes nothing.
pub(super) fn keys_read<'a>(arguments: Arguments<'a>) -> impl Iterator<Item = &'a [u8]> {
    let spec = Spec::find(arguments.get(0)).filter(|spec| matches!(spec.does, Does::Read(_)));
    let places = spec.into_iter().flat_map(move |spec| spec.keys.among(arguments.len()));
    places.map(move |at| arguments.get(at))
}

/// Tells a client what it must not use any more, or what another one must not use that has it told. Who speaks version 2 cannot
/// be told of what he has read himself.
pub(super) fn invalidate(stale: &Stale, listens: bool, replies: &mut Replies<'_>) {
    match replies.version {
        Version::Three => {
            replies.push(2);
            replies.bulk(b"invalidate");
        }
        Version::Two if listens => {
            replies.push(3);
            replies.bulk(b"message");
            replies.bulk(CHANNEL);
        }
        Version::Two => return,
    }
    match stale {
        Stale::All => replies.null(),
        Stale::Keys(keys) => {
            let keys: BTreeSet<&Bytes> = keys.iter().map(|(_, key)| key).collect();
            replies.array(keys.len());
            keys.iter().for_each(|key| replies.bulk(key));
        }
    }
}

/// Tells a client that the one has gone whom it has told instead.
pub(super) fn lost_redirect(to: u64, replies: &mut Replies<'_>) {
    if replies.version == Version::Three {
        replies.push(2);
        replies.bulk(b"tracking-redir-broken");
        replies.count(to);
    }
}
