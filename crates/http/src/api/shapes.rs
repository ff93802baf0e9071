//! The shapes that more than one resource shares: people, moments, words, and the answer to «what if».

use crate::extract::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use holdfast_chat::view;
use holdfast_chat::{Mode, Outcome};
use holdfast_domain::{PrincipalId, Time};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// A moment, RFC 3339, UTC, written with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Moment(pub(crate) Time);

impl From<Time> for Moment {
    fn from(time: Time) -> Self {
        Self(time)
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("A moment, RFC 3339, UTC, with milliseconds."))
            .examples(["2026-05-12T09:31:00.000Z"])
            .into()
    }
}

impl ToSchema for Moment {}

/// Makes a word of the API for each value of one of the lower floors' types.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident for $original:path { $($(#[$value_doc:meta])* $value:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "lowercase")]
        pub(crate) enum $name { $($(#[$value_doc])* $value),+ }

        impl From<$original> for $name {
            fn from(original: $original) -> Self {
                match original { $(<$original>::$value => $name::$value),+ }
            }
        }

        impl From<$name> for $original {
            fn from(word: $name) -> Self {
                match word { $($name::$value => <$original>::$value),+ }
            }
        }
    };
}
pub(crate) use words;

/// A user or a group as everybody sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Principal {
    /// Its number; users and groups share one space of numbers.
    id: i64,
    /// Signs in and is mentioned by this name.
    name: String,
    /// The name that is shown.
    display_name: String,
    /// What it is.
    #[schema(value_type = PrincipalKind)]
    kind: &'static str,
}

/// What a principal is.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PrincipalKind {
    /// Somebody who signs in with a password.
    Person,
    /// A program that signs in with a token.
    Bot,
    /// An author of imported messages, who cannot sign in.
    Imported,
    /// A group of users and groups.
    Group,
    /// The server itself, or its operator.
    System,
}

impl PrincipalKind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            PrincipalKind::Person => "person",
            PrincipalKind::Bot => "bot",
            PrincipalKind::Imported => "imported",
            PrincipalKind::Group => "group",
            PrincipalKind::System => "system",
        }
    }
}

impl From<view::Person> for Principal {
    fn from(person: view::Person) -> Self {
        let view::Person { id, name, display_name, kind, .. } = person;
        Self { id: id.0, name, display_name, kind }
    }
}

/// Some people, turned into what everybody sees.
pub(crate) fn principals(people: Vec<view::Person>) -> Vec<Principal> {
    people.into_iter().map(Principal::from).collect()
}

/// The numbers of principals in a request.
pub(crate) fn ids(numbers: Vec<i64>) -> Vec<PrincipalId> {
    numbers.into_iter().map(PrincipalId).collect()
}

/// Whether to do it or only to say what it would do.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Trial {
    /// Changes nothing; answers 200 with what would be changed.
    what_if: bool,
}

impl Trial {
    pub(crate) fn mode(&self) -> Mode {
        mode(self.what_if)
    }
}

/// See [`Trial`].
pub(crate) fn mode(what_if: bool) -> Mode {
    if what_if { Mode::WhatIf } else { Mode::Do }
}

/// What a request would change, had it not been asked with `what_if`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WouldChange {
    /// Always true.
    what_if: bool,
    /// A sentence for each change; none when nothing would change.
    changes: Vec<String>,
}

/// Answers a change with `status` and what it made, or with what it would have changed.
pub(crate) fn changed<T, S: Serialize>(outcome: Outcome<T>, status: StatusCode, show: impl FnOnce(T) -> S) -> Response {
    match outcome {
        Outcome::Done(made) => (status, Json(show(made))).into_response(),
        Outcome::Would(changes) => Json(WouldChange { what_if: true, changes }).into_response(),
    }
}

/// As [`changed`], where nothing is left to show.
pub(crate) fn gone(outcome: Outcome<()>) -> Response {
    match outcome {
        Outcome::Done(()) => StatusCode::NO_CONTENT.into_response(),
        Outcome::Would(changes) => Json(WouldChange { what_if: true, changes }).into_response(),
    }
}

/// Tells a field that is null from one that is not there: `Some(None)` from `None`.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    reader: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(reader).map(Some)
}
