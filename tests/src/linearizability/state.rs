//! What a key holds, and what an operation makes of it: the semantics of the store, one operation after
//! another.

use std::fmt::{self, Display, Formatter};

use super::operation::{Condition, Input, Output};

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    Absent,
    Present { value: i64, version: Version },
}

/// The version of the change that a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Version {
    Known(u64),
    /// No client was told, for example because the outcome is unknown. A later answer may tell; until then it
    /// is any version that no other change has, and none of those with a bit in `excluded`, for which
    /// conditions failed.
    Unknown {
        excluded: u64,
    },
}

/// What the rest of a history says of versions.
pub(super) trait Versions {
    /// Whether a change of unknown version may turn out to have this one: no other change has it.
    fn may_be(&self, version: u64) -> bool;

    /// The bit for a version in `excluded`; 0 if no operation depends on it, or if there are too many
    /// versions.
    fn exclusion(&self, version: u64) -> u64;
}

impl State {
    /// The state after an operation that got `output`, or that had its effect though its outcome is unknown
    /// (`None`). Returns `None` if this state cannot give that answer, or has no room for that effect.
    pub(super) fn after(
        self,
        input: &Input,
        output: Option<Output>,
        versions: &impl Versions,
    ) -> Option<State> {
        match (input, output) {
            (Input::Get, Some(Output::Absent)) => (self == State::Absent).then_some(self),
            (Input::Get, Some(Output::Found { value: told, version })) => match (self, version) {
                (State::Present { value, .. }, _) if value != told => None,
                (State::Present { .. }, None) => Some(self),
                (State::Present { .. }, Some(version)) => {
                    self.learn(Condition::IfVersion(version), true, versions)
                }
                (State::Absent, _) => None,
            },
            (Input::Set { condition, .. } | Input::Delete { condition }, Some(Output::ConditionFailed)) => {
                self.learn(*condition, false, versions)
            }
            (Input::Set { value, condition }, None | Some(Output::Written { .. })) => {
                self.learn(*condition, true, versions)?;
                written(value.cast_signed(), output)
            }
            (Input::Set { value, condition }, Some(Output::Swapped { before })) => {
                self.learn(*condition, true, versions)?;
                (self.value() == before).then_some(())?;
                written(value.cast_signed(), output)
            }
            (Input::Increment { by }, None | Some(Output::Written { .. })) => {
                let value = self.value().unwrap_or(0);
                written(value.checked_add(*by)?, output)
            }
            (Input::Delete { condition }, None | Some(Output::Deleted { .. })) => {
                self.learn(*condition, true, versions)?;
                let existed = self != State::Absent;
                let told = output.is_none_or(|output| output == Output::Deleted { existed });
                told.then_some(State::Absent)
            }
            _ => None,
        }
    }

    /// The value, if the key exists.
    fn value(self) -> Option<i64> {
        match self {
            State::Absent => None,
            State::Present { value, .. } => Some(value),
        }
    }

    /// The same state, with what an answer reveals of its version: that a condition held, or did not.
    fn learn(self, condition: Condition, held: bool, versions: &impl Versions) -> Option<State> {
        let holds = match (condition, self) {
            (Condition::Always, _) => true,
            (Condition::IfAbsent, _) => self == State::Absent,
            (Condition::IfPresent, _) => self != State::Absent,
            (Condition::IfVersion(_), State::Absent) => false,
            (Condition::IfVersion(asked), State::Present { version: Version::Known(version), .. }) => {
                asked == version
            }
            (
                Condition::IfVersion(asked),
                State::Present { value, version: Version::Unknown { excluded } },
            ) => {
                let bit = versions.exclusion(asked);
                let possible = excluded & bit == 0 && versions.may_be(asked);
                return match (held, possible) {
                    (true, true) => Some(State::Present { value, version: Version::Known(asked) }),
                    (true, false) => None,
                    (false, true) => {
                        Some(State::Present { value, version: Version::Unknown { excluded: excluded | bit } })
                    }
                    (false, false) => Some(self),
                };
            }
        };
        (holds == held).then_some(self)
    }
}

/// The state after a change to `value`, if that agrees with what the client was told.
fn written(value: i64, output: Option<Output>) -> Option<State> {
    let (told, version) = match output {
        Some(Output::Written { value, version }) => (value, version),
        _ => (None, None),
    };
    let version = version.map_or(Version::Unknown { excluded: 0 }, Version::Known);
    told.is_none_or(|told| told == value).then_some(State::Present { value, version })
}

impl Display for State {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            State::Absent => f.write_str("nothing"),
            State::Present { value, version: Version::Known(version) } => {
                write!(f, "{value} (version {version})")
            }
            State::Present { value, version: Version::Unknown { .. } } => {
                write!(f, "{value} (nobody was told its version)")
            }
        }
    }
}
