//! What somebody has chosen about how chat looks and when it calls.

use crate::caller::Caller;
use crate::error::{ChatError, Result};
use crate::service::Chat;
use holdfast_domain::RoomId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rooms that may have a setting of their own.
const ROOMS: usize = 1_000;

/// A person's choices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preferences {
    /// `en` or `de`; nothing: as the browser says.
    pub language: Option<String>,
    /// Colours.
    pub theme: Theme,
    /// How close lines stand.
    pub density: Density,
    /// When to call, where a room has no setting of its own.
    pub notify: Notify,
    /// When to call, by room.
    pub rooms: BTreeMap<RoomId, Notify>,
}

/// Colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// As the machine is set.
    #[default]
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// How close lines stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Density {
    /// With air.
    #[default]
    Comfortable,
    /// More on a page.
    Compact,
}

/// When to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notify {
    /// For which messages.
    pub messages: NotifyFor,
    /// By a notice on the desktop.
    pub desktop: bool,
    /// By a sound.
    pub sound: bool,
}

impl Default for Notify {
    fn default() -> Self {
        Self { messages: NotifyFor::Mentions, desktop: true, sound: false }
    }
}

/// Which messages call. Alerts always do, except with [`NotifyFor::None`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotifyFor {
    /// Every one in a followed room.
    All,
    /// Those that name the reader.
    Mentions,
    /// None.
    None,
}

impl Chat {
    /// The caller's choices; the defaults where nothing was chosen, or where an older version's choice cannot be read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn preferences(&self, caller: &Caller) -> Result<Preferences> {
        let kept = self.store().preferences(caller.user).await?;
        Ok(kept.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default())
    }

    /// Replaces the caller's choices.
    ///
    /// # Errors
    /// When one of them is not acceptable.
    pub async fn put_preferences(&self, caller: &Caller, preferences: Preferences) -> Result<Preferences> {
        if let Some(language) = &preferences.language
            && !matches!(language.as_str(), "en" | "de")
        {
            return Err(ChatError::invalid("language", "must be `en` or `de`, or null for the browser's"));
        }
        if preferences.rooms.len() > ROOMS {
            return Err(ChatError::invalid("rooms", format!("at most {ROOMS} rooms may have settings of their own")));
        }
        let json = serde_json::to_string(&preferences).map_err(|_| ChatError::Internal)?;
        self.store().put_preferences(caller.user, json).await?;
        Ok(preferences)
    }
}
