//! The suite of all engines.

use super::make;
use crate::conformance::conformance;

conformance!(make);
