//! The suite's searches once more, where everything is in the index: nothing else finds it then.

use super::make_eager;
use crate::conformance::conformance;

conformance!(make_eager);
